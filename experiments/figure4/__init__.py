"""
Figure 4 of the paper: seven algorithms in nine settings with four seeds, on the grid suites.

:mod:`~experiments.figure4.study` says what is run, :mod:`~experiments.figure4.training` does one run,
:mod:`~experiments.figure4.results` reads all of them back.
"""
