"""One module for each library that programs load models with.

``discovery.loading.choice`` says which of them takes a job.
"""
