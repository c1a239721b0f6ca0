"""Lets `python -m fine_tuning` run the command line."""

from fine_tuning.command_line import main

main()
