"""HTML that certificates and notebooks share: tables, drawings of networks, charts of errors."""
