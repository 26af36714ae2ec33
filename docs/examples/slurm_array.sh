#!/bin/bash
#SBATCH --array=0-99
#SBATCH --cpus-per-task=2

# files.txt lists the files, one a line; each of the hundred tasks takes every hundredth of them.
split --number="r/$((SLURM_ARRAY_TASK_ID + 1))/100" files.txt |
    ror-port theano-to-tf --files-from - -o "parts/$SLURM_ARRAY_TASK_ID" --skip-done --jobs 2 --no-verify
