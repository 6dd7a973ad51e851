"""`python -m serving_config render`: write a deployment for given models, from the files shipped beside it."""
