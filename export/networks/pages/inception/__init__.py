"""The Inception networks."""
