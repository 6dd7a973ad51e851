"""From a path to the files of one checkpoint: a file, a prefix, a folder, an archive, shards; or what it is instead."""
