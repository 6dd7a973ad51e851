"""A stand-in for the published checkpoint: textures, scenes of them, and a VGG-16 that tells them apart."""
