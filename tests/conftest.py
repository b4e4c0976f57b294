"""What every test may use. The fixtures of ``otpy.testing.plugin`` come by its entry point."""
