"""Be no Python at all."""

def hook(:
    pass
