"""Connections to replicas: how they are made, and what travels with each call."""
