"""The routes, one module per thing. They read the request, call, and word the answer; they decide nothing."""
