"""What every module uses: argument checks, types, derivative rules, sums, printing."""
