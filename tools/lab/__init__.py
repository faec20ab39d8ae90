"""`passerby-lab`: what engineers do: demonstrate, measure, prove."""
