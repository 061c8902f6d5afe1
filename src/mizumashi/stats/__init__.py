"""How certain: intervals, tests, what is claimed, how many seeds it takes."""
