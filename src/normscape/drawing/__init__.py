"""How figures look: colours and names of series, bands, ridge plots, panels that several figures share."""
