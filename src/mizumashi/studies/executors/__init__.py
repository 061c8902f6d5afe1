"""Where the tasks of a study are done: here, or in processes of their own."""
