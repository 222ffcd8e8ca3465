"""The reviewer's arithmetic: lives of findings, and one ordered task list made of what stands."""
