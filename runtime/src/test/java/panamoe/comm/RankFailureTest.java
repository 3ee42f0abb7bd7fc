package panamoe.comm;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertInstanceOf;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.time.Duration;
import java.util.Arrays;
import java.util.Random;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.locks.LockSupport;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import panamoe.checkpoint.ArenaMemory;
import panamoe.tensor.DType;
import panamoe.tensor.Tensor;
import panamoe.tensor.TensorMemory;
import panamoe.tensor.TensorScope;

/** When one rank of a {@link ThreadWorld} fails, all ranks report one message. */
@Timeout(300)
class RankFailureTest {
  private static final ThreadWorld THREE = ThreadWorld.of(3).timeout(Duration.ofMinutes(1));
  private static final ThreadWorld IMPATIENT = THREE.timeout(Duration.ofMillis(500));

  @Test
  void differentSizesAreNamedWithTheirRanks() {
    assertFails(
        "world: rank 1 called allReduce FLOAT32 of 5 at layer 3, "
            + "but ranks 0, 2 called allReduce FLOAT32 of 4 at layer 3",
        THREE,
        world -> {
          world.at("layer 3");
          allReduce(world, DType.FLOAT32, world.rank() == 1 ? 5 : 4);
        });
  }

  @Test
  void differentDtypesAreNamed() {
    assertFails(
        "world: rank 2 called allReduce BFLOAT16 of 4, but ranks 0, 1 called allReduce FLOAT32 of 4",
        THREE,
        world -> allReduce(world, world.rank() == 2 ? DType.BFLOAT16 : DType.FLOAT32, 4));
  }

  @Test
  void differentPlacesAreNamed() {
    assertFails(
        "world: rank 0 called barrier at layer 0, but ranks 1, 2 called barrier at layer 1",
        THREE,
        world -> {
          world.at("layer " + Math.min(1, world.rank()));
          world.barrier();
        });
  }

  @Test
  void rowsThatAreNotExpectedAreNamed() {
    assertFails(
        "world: rank 2 sends 3 rows to rank 0, which expects 4",
        THREE,
        world -> {
          try (TensorScope scope = TensorScope.confined(new ArenaMemory())) {
            Tensor rows = scope.zeros(DType.FLOAT32, 9, 1);
            long[] send = {world.rank() == 2 ? 3 : 2, 2, 2};
            long[] receive = {2, 2, world.rank() == 0 ? 4 : 2};
            world.allToAll(rows, send, scope.zeros(DType.FLOAT32, 9, 1), receive);
          }
        });
  }

  @Test
  void anotherOrderIsNamed() {
    assertFails(
        "pair: rank 1 called barrier, but rank 2 called allGather of 1 numbers",
        THREE,
        world -> {
          Communicator pair = world.split(Math.min(1, world.rank()), 0, "pair");
          if (world.rank() == 1) {
            pair.barrier();
          }
          pair.allGather(7);
        });
  }

  @Test
  void aRankThatEndsIsNamed() {
    assertFails(
        "rank 1 has ended, but ranks 0, 2 wait in barrier of world",
        ThreadWorld.of(3),
        world -> {
          if (world.rank() == 1) {
            return;
          }
          world.barrier();
        },
        "rank 1 has ended, but rank 0 waits in barrier of world",
        "rank 1 has ended, but rank 2 waits in barrier of world");
  }

  @Test
  void aRankThatClosesItsGroupEarlyIsNamed() {
    assertFails(
        "rank 0 has closed pair, but rank 1 waits in allReduce of a number of pair",
        ThreadWorld.of(2),
        world -> {
          Communicator pair = world.split(0, 0, "pair");
          if (world.rank() == 0) {
            pair.close();
            world.barrier();
          }
          pair.allReduce(1.0);
        });
  }

  @Test
  void aRankThatThrowsIsNamedAndItsExceptionIsTheCause() {
    CommunicationException thrown =
        assertFails(
            "rank 2 failed: java.lang.IllegalStateException: disk full",
            ThreadWorld.of(3),
            world -> {
              if (world.rank() == 2) {
                throw new IllegalStateException("disk full");
              }
              world.barrier();
            });
    assertInstanceOf(IllegalStateException.class, thrown.getCause());
  }

  @Test
  void aRankThatDoesNotComeInTimeIsNamedAndLeftBehind() {
    CountDownLatch never = new CountDownLatch(1);
    assertFails(
        "rank 2 did not come within 0.5 s; rank 0 waits in barrier of pair",
        IMPATIENT,
        world -> {
          // Rank 0 waits for rank 1, which waits for rank 2: rank 2 is to blame.
          Communicator pair = world.split(world.rank() / 2, 0, "pair");
          if (world.rank() == 2) {
            never.await();
          } else if (world.rank() == 0) {
            pair.barrier();
          }
          world.barrier();
        },
        "rank 2 did not come within 0.5 s; rank 1 waits in barrier of world");
  }

  @Test
  void ranksThatWaitForEachOtherAreNamed() {
    String message =
        assertThrows(
                CommunicationException.class,
                () ->
                    IMPATIENT.run(
                        world -> {
                          Communicator other = world.split(0, 0, "other");
                          (world.rank() == 1 ? other : world).barrier();
                          return null;
                        }))
            .getMessage();
    assertTrue(message.contains("ranks 0, 2 wait in barrier of world"), message);
    assertTrue(message.contains("rank 1 waits in barrier of other"), message);
    assertTrue(message.contains("they wait for each other"), message);
  }

  @Test
  void anAbortFromAnyThreadEndsTheWaiting() {
    assertFails(
        "rank 0 aborted: stopped by the user",
        ThreadWorld.of(2),
        world -> {
          Communicator other = world.split(0, 0, "other");
          if (world.rank() == 0) {
            Thread.ofVirtual().start(() -> other.abort("stopped by the user"));
          }
          world.barrier();
          world.barrier();
          new CountDownLatch(1).await();
        },
        "rank 0 aborted: stopped by the user");
  }

  @Test
  void anInterruptedWorldEnds() throws InterruptedException {
    CountDownLatch started = new CountDownLatch(1);
    Thread caller =
        Thread.ofPlatform()
            .start(
                () ->
                    assertThrows(
                        CommunicationException.class,
                        () ->
                            ThreadWorld.of(2)
                                .run(
                                    world -> {
                                      started.countDown();
                                      if (world.rank() == 0) {
                                        new CountDownLatch(1).await();
                                      }
                                      world.barrier();
                                      return null;
                                    })));
    started.await();
    caller.interrupt();
    assertTrue(caller.join(Duration.ofMinutes(4)));
  }

  /**
   * An abort during copying: a member that returns from the call has complete rows, although the
   * others free theirs immediately.
   */
  @Test
  void noRankReadsMemoryThatAnotherHasFreed() {
    TensorMemory poisoning =
        new TensorMemory() {
          @Override
          public MemorySegment allocate(long bytes) {
            return Arena.ofAuto().allocate(bytes, 64);
          }

          @Override
          public void free(MemorySegment memory) {
            memory.fill((byte) 0x7f);
          }
        };
    for (int seed = 0; seed < 60; seed++) {
      Random random = new Random(seed);
      int micros = random.nextInt(3000);
      CommunicationException thrown =
          assertThrows(
              CommunicationException.class,
              () ->
                  ThreadWorld.of(4)
                      .run(
                          world -> {
                            if (world.rank() == 0) {
                              Thread.ofVirtual()
                                  .start(
                                      () -> {
                                        LockSupport.parkNanos(micros * 1000L);
                                        world.abort("now");
                                      });
                            }
                            long[] rows = {100, 100, 100, 100};
                            for (int step = 0; ; step++) {
                              try (TensorScope scope = TensorScope.confined(poisoning)) {
                                Tensor send = scope.allocate(DType.INT32, 400, 32);
                                Tensor receive = scope.allocate(DType.INT32, 400, 32);
                                for (int i = 0; i < send.count(); i++) {
                                  send.setInt(i, step);
                                }
                                world.allToAll(send, rows, receive, rows);
                                for (int i = 0; i < receive.count(); i++) {
                                  if (receive.getInt(i) != step) {
                                    throw new AssertionError(
                                        "element " + i + " is " + receive.getInt(i));
                                  }
                                }
                              }
                            }
                          }),
              "schedule " + seed);
      assertEquals("rank 0 aborted: now", thrown.getMessage(), "schedule " + seed);
    }
  }

  private static void allReduce(Communicator world, DType dtype, long count) {
    try (TensorScope scope = TensorScope.confined(new ArenaMemory())) {
      world.allReduce(scope.zeros(dtype, count));
    }
  }

  /** Asserts that the world and all ranks that fail because of another report one message. */
  private static CommunicationException assertFails(
      String expected, ThreadWorld ranks, CommunicatorContract.Body body, String... orElse) {
    var said = new ConcurrentHashMap<String, Integer>();
    CommunicationException thrown =
        assertThrows(
            CommunicationException.class,
            () ->
                ranks.run(
                    world -> {
                      try {
                        body.run(world);
                      } catch (CommunicationException e) {
                        said.put(e.getMessage(), world.rank());
                        throw e;
                      }
                      return null;
                    }));
    if (Arrays.stream(orElse).noneMatch(thrown.getMessage()::equals)) {
      assertEquals(expected, thrown.getMessage());
    }
    said.keySet().forEach(message -> assertEquals(thrown.getMessage(), message));
    return thrown;
  }
}
