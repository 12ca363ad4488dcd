#undef T
#undef TYPE
#undef REAL
#undef LOAD
#undef TO
#undef KIND
