"""From features to answers: cells, label maps."""
