"""From features to answers: crops and cells, ranking, label maps."""
