"""Publish and subscribe, with a registry of duplicate keys."""
