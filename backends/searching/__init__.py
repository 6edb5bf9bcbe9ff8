"""What Elasticsearch and OpenSearch have in common: a rule as query DSL over keyword fields."""
