package panamoe.comm.nccl;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.lang.foreign.MemorySegment;
import java.time.Duration;
import java.util.concurrent.CountDownLatch;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import panamoe.backend.reference.ReferenceBackend;
import panamoe.checkpoint.ArenaMemory;
import panamoe.comm.CommunicationException;
import panamoe.comm.Communicator;
import panamoe.comm.CommunicatorContract;
import panamoe.comm.ThreadWorld;
import panamoe.tensor.DType;
import panamoe.tensor.Tensor;
import panamoe.tensor.TensorDevice;
import panamoe.tensor.TensorMemory;
import panamoe.tensor.TensorScope;

/**
 * The contract and the failures of {@link NcclCommunicator}, without a GPU: a stand-in library
 * between threads replaces NCCL, so this tests our use of NCCL, not NCCL itself.
 */
@Timeout(300)
class NcclCommunicatorTest extends CommunicatorContract {
  private static final String PROPERTY = "panamoe.nccl.path";
  private static final Duration TIMEOUT = Duration.ofMinutes(2);

  @BeforeEach
  void takeTheTestLibrary() {
    System.setProperty(PROPERTY, CpuNcclDevice.LIBRARY.toString());
  }

  @AfterEach
  void forget() {
    System.clearProperty(PROPERTY);
  }

  @Override
  protected void run(int ranks, Body body) {
    ThreadWorld.of(ranks)
        .run(
            world -> {
              Communicator nccl = NcclCommunicator.open(world, new CpuNcclDevice(), TIMEOUT);
              body.run(nccl);
              nccl.barrier();
              nccl.close();
              return null;
            });
  }

  @Test
  void anAsynchronousErrorEndsTheGroupOnAllRanks() {
    CountDownLatch ready = new CountDownLatch(2);
    String message =
        failure(
            new CpuNcclDevice[] {new CpuNcclDevice(), new CpuNcclDevice()},
            TIMEOUT,
            (nccl, tensor) -> {
              if (nccl.rank() == 0) {
                CpuNcclDevice.failNext();
              }
              ready.countDown();
              ready.await();
              nccl.allReduce(tensor);
            });
    assertTrue(message.contains("remote process exited or there was a network error"), message);
  }

  @Test
  void workThatDoesNotEndIsGivenUpByWhoWaitsForIt() {
    StuckDevice[] devices = {new StuckDevice(), new StuckDevice()};
    String message =
        failure(
            devices,
            Duration.ofMillis(300),
            (nccl, tensor) -> {
              nccl.allReduce(tensor);
              devices[nccl.rank()].hostWaits();
            });
    assertTrue(message.contains("ncclAllReduce did not end within 0.3 s"), message);
  }

  /** Work of a group and of the world it was split from, in two streams of a GPU. */
  @Test
  void aFailureEndsTheWorkOfAllGroups() {
    StuckDevice[] devices = {new StuckDevice(), new StuckDevice()};
    String message =
        failure(
            devices,
            Duration.ofMillis(300),
            (nccl, tensor) -> {
              Communicator both = nccl.split(0, nccl.rank(), "both");
              both.enqueueOn(new ReferenceBackend());
              nccl.allReduce(tensor);
              both.allReduce(tensor);
              assertThrows(CommunicationException.class, devices[nccl.rank()]::hostWaits);
              assertThrows(CommunicationException.class, () -> both.allReduce(tensor));
              nccl.allReduce(tensor);
            });
    assertTrue(message.contains("ncclAllReduce did not end within 0.3 s"), message);
  }

  @Test
  void anAbortEndsTheWait() {
    StuckDevice[] devices = {new StuckDevice(), new StuckDevice()};
    long start = System.nanoTime();
    String message =
        failure(
            devices,
            TIMEOUT,
            (nccl, tensor) -> {
              nccl.allReduce(tensor);
              Thread.ofPlatform().daemon().start(() -> nccl.abort("the plug was pulled"));
              devices[nccl.rank()].hostWaits();
            });
    assertTrue(message.contains("the plug was pulled"), message);
    assertTrue(System.nanoTime() - start < TIMEOUT.toNanos(), "waited for the timeout instead");
  }

  @Test
  void differentCallsAreNamedBeforeNcclGetsThem() {
    String message =
        failure(
            new CpuNcclDevice[] {new CpuNcclDevice(), new CpuNcclDevice()},
            TIMEOUT,
            (nccl, tensor) -> nccl.allReduce(nccl.rank() == 1 ? tensor.rows(0, 5) : tensor));
    assertTrue(message.contains("called allReduce FLOAT32 of 5"), message);
    assertTrue(message.contains("called allReduce FLOAT32 of 8"), message);
  }

  @Test
  void withoutTheLibraryOneSentenceSaysWhereItWasLookedFor() {
    System.setProperty(PROPERTY, "/nowhere");
    assertEquals(
        "NCCL is not there: no file /nowhere, which -Dpanamoe.nccl.path or PANAMOE_NCCL_PATH names",
        assertThrows(CommunicationException.class, NcclCommunicator::requireLibrary).getMessage());
  }

  @ParameterizedTest
  @CsvSource({"30101, 3.1", "21703, 2.17", "2804, 2.8"})
  void anotherVersionIsRefused(int version, String text) {
    CpuNcclDevice.beVersion(version);
    try {
      assertEquals(
          "NCCL is version "
              + text
              + ", but 2.18 or a later 2 is needed: install it, or name its file with"
              + " -Dpanamoe.nccl.path or PANAMOE_NCCL_PATH",
          assertThrows(CommunicationException.class, NcclCommunicator::requireLibrary)
              .getMessage());
    } finally {
      CpuNcclDevice.beVersion(23000);
    }
  }

  private interface Rank {
    void run(Communicator nccl, Tensor tensor) throws Exception;
  }

  /** The messages with which two ranks fail. */
  private static String failure(NcclDevice[] devices, Duration timeout, Rank body) {
    return assertThrows(
            CommunicationException.class,
            () ->
                ThreadWorld.of(devices.length)
                    .run(
                        world -> {
                          try (TensorScope scope = TensorScope.confined(new ArenaMemory())) {
                            Communicator nccl =
                                NcclCommunicator.open(world, devices[world.rank()], timeout);
                            body.run(nccl, scope.zeros(DType.FLOAT32, 8));
                          }
                          return null;
                        }))
        .getMessage();
  }

  /** A device whose work never ends. */
  private static final class StuckDevice implements NcclDevice {
    private Runnable beforeWaiting;

    /** The hook that a backend runs before the host waits. */
    void hostWaits() {
      beforeWaiting.run();
    }

    @Override
    public MemorySegment stream() {
      return MemorySegment.NULL;
    }

    @Override
    public boolean finished() {
      return false;
    }

    @Override
    public void enqueue(Runnable before, Runnable work) {
      before.run();
      work.run();
    }

    @Override
    public void beforeWaiting(Runnable wait) {
      beforeWaiting = wait;
    }

    @Override
    public NcclDevice on(TensorDevice stream) {
      return new StuckDevice();
    }

    @Override
    public TensorMemory memory() {
      return new ArenaMemory();
    }

    @Override
    public void sum(
        DType dtype,
        long count,
        MemorySegment[] terms,
        MemorySegment scratch,
        MemorySegment target) {}
  }
}
