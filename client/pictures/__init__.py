"""Answers drawn."""
