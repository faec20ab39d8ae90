"""`passerby`: the command of the appliance. One module per sub-command."""
