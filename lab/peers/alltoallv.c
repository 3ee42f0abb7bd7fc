// Times MPI_Alltoallv from C like panamoe.lab.measurement.AllToAllTimes times Panamoe's all-to-all, with equal output.
// lab/alltoall alternates both.
//
// usage: mpirun -n RANKS alltoallv BYTES...    (bytes of the block for each rank, including its own)

#include <mpi.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { kBatches = 15 };
static const double kBatchSeconds = 0.03;

static int ascending(const void* a, const void* b) {
  const double x = *(const double*)a, y = *(const double*)b;
  return (x > y) - (x < y);
}

int main(int count, char** arguments) {
  int rank, size;
  MPI_Init(&count, &arguments);
  MPI_Comm_rank(MPI_COMM_WORLD, &rank);
  MPI_Comm_size(MPI_COMM_WORLD, &size);
  int* bytes = malloc(size * sizeof *bytes);
  int* starts = malloc(size * sizeof *starts);
  for (int argument = 1; argument < count; ++argument) {
    const int block = atoi(arguments[argument]);
    for (int peer = 0; peer < size; ++peer) {
      bytes[peer] = block;
      starts[peer] = peer * block;
    }
    char* send = aligned_alloc(64, (size_t)size * block);
    char* receive = aligned_alloc(64, (size_t)size * block);
    memset(send, rank, (size_t)size * block);
    memset(receive, 0, (size_t)size * block);
    int repeats = 1;
    double times[kBatches];
    for (int batch = -2; batch < kBatches; ++batch) {  // the first two tell how many repeats fill a batch
      MPI_Barrier(MPI_COMM_WORLD);
      const double start = MPI_Wtime();
      for (int i = 0; i < repeats; ++i) {
        MPI_Alltoallv(send, bytes, starts, MPI_BYTE, receive, bytes, starts, MPI_BYTE, MPI_COMM_WORLD);
      }
      const double each = (MPI_Wtime() - start) / repeats;
      if (batch >= 0) {
        times[batch] = each;
      } else {
        repeats = each < kBatchSeconds ? (int)(kBatchSeconds / each) : 1;
        MPI_Bcast(&repeats, 1, MPI_INT, 0, MPI_COMM_WORLD);
      }
    }
    qsort(times, kBatches, sizeof *times, ascending);
    if (rank == 0) printf("c %d %.3f %.3f\n", block, times[0] * 1e6, times[kBatches / 2] * 1e6);
    free(send);
    free(receive);
  }
  MPI_Finalize();
  return 0;
}
