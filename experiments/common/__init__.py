"""What all studies share: claims, the bootstrap, results on disk, the runner, the command line."""
