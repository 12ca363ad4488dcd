"""`torch._C._distributed_rpc`: there are no other processes to call."""


def _is_current_rpc_agent_set() -> bool:
    """Whether functions of other processes can be called: False."""
    return False
