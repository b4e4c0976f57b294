"""Pods of a headless service that find each other by its DNS name, or by gossip."""
