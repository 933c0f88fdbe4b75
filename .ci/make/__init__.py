"""What stands behind the Makefile: named, timed steps that are skipped when nothing changed."""
