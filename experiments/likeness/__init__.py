"""How alike the tasks are: where separate learning, one network, one column and two columns win."""
