"""The command line: commands, messages, progress; no logic."""
