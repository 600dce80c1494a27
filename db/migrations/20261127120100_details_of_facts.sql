-- What a person needs to know of a refused event besides its reason, such as whose account it names.
alter type fleet.fact add attribute detail text;
