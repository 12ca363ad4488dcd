"""`torch.distributed.launch`: the launcher by its former name."""

from pullback.distributed.run import get_args_parser, main, parse_args, run

__all__ = ["get_args_parser", "main", "parse_args", "run"]

if __name__ == "__main__":
    main()
