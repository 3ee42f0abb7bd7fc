package panamoe.comm;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.time.Duration;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Random;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.TimeUnit;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.junit.jupiter.api.Test;
import panamoe.checkpoint.ArenaMemory;
import panamoe.tensor.DType;
import panamoe.tensor.Tensor;
import panamoe.tensor.TensorScope;

/**
 * 500 random schedules of collectives over a {@link ThreadWorld} and its splits. In most of them
 * one rank fails at a random step. All must end: healthy ones successfully, the others with one
 * message that names the rank.
 */
class RandomFaultsTest {
  private static final int SCHEDULES = 500;
  private static final Duration SHORT = Duration.ofSeconds(1);
  private static final Duration PATIENT = Duration.ofMinutes(2);

  private enum Fault {
    NONE,
    SIZE,
    DTYPE,
    ORDER,
    GROUP,
    PLACE,
    ENDS,
    CLOSES,
    THROWS,
    ABORTS,
    SLEEPS;

    /** Detected only by the timeout. */
    boolean silent() {
      return this == SLEEPS || this == GROUP;
    }
  }

  @Test
  void everyScheduleEndsAndNamesTheCulprit() throws Exception {
    try (ExecutorService players = Executors.newFixedThreadPool(8)) {
      List<Future<?>> runs = new ArrayList<>();
      for (int seed = 0; seed < SCHEDULES; seed++) {
        int schedule = seed;
        runs.add(players.submit(() -> new Schedule(schedule).play()));
      }
      for (Future<?> run : runs) {
        run.get(60, TimeUnit.SECONDS);
      }
    }
  }

  /** A world, random by seed. */
  private static final class Schedule {
    final int seed;
    final int ranks;
    final int steps;
    final int culprit;
    final int faultyStep;
    final Fault fault;
    final Set<String> said = ConcurrentHashMap.newKeySet();

    Schedule(int seed) {
      Random random = new Random(seed);
      this.seed = seed;
      this.ranks = 2 + random.nextInt(4);
      this.steps = 5 + random.nextInt(15);
      this.culprit = random.nextInt(ranks);
      this.faultyStep = random.nextInt(steps);
      Fault chosen = Fault.values()[random.nextInt(Fault.values().length)];
      // Silent faults take a whole timeout, so there are fewer.
      this.fault = chosen.silent() && random.nextInt(4) > 0 ? Fault.SIZE : chosen;
    }

    void play() {
      ThreadWorld world = ThreadWorld.of(ranks).timeout(fault.silent() ? SHORT : PATIENT);
      long start = System.nanoTime();
      String message = null;
      try {
        world.run(this::rank);
      } catch (CommunicationException e) {
        message = e.getMessage();
      }
      double seconds = (System.nanoTime() - start) / 1e9;
      assertTrue(seconds < PATIENT.toSeconds(), () -> this + " took " + seconds + " s");
      if (fault == Fault.NONE) {
        assertEquals(null, message, toString());
        return;
      }
      assertTrue(message != null, this + " did not fail");
      assertTrue(ranksNamedIn(message).contains(culprit), this + ": " + message);
      assertEquals(Set.of(message), said, toString());
    }

    private Void rank(ThreadCommunicator world) throws Exception {
      boolean faulty = world.rank() == culprit;
      try (TensorScope scope = TensorScope.confined(new ArenaMemory())) {
        List<Communicator> groups =
            new ArrayList<>(List.of(world, world.split(0, -world.rank(), "reversed")));
        if (ranks >= 4) {
          groups.add(world.split(world.rank() / 2, 0, "pair"));
        }
        Random sameEverywhere = new Random(seed);
        for (int step = 0; step < steps; step++) {
          Communicator group = groups.get(sameEverywhere.nextInt(groups.size()));
          if (step == faultyStep && fault != Fault.NONE) {
            // All ranks take part, so that all learn of the failure.
            group = groups.get(sameEverywhere.nextInt(2));
          }
          Fault now = faulty && step == faultyStep ? fault : Fault.NONE;
          switch (now) {
            case ENDS -> {
              return null;
            }
            case CLOSES -> group.close();
            case THROWS -> throw new IllegalStateException("injected");
            case ABORTS -> Thread.ofVirtual().start(() -> world.abort("injected")).join();
            case SLEEPS ->
                new CountDownLatch(1).await(SHORT.toMillis() * 3 / 2, TimeUnit.MILLISECONDS);
            case ORDER -> group.split(0, 0, "out of order");
            case GROUP -> group = group == world ? groups.get(1) : world;
            case PLACE -> group.at("elsewhere");
            case NONE, SIZE, DTYPE -> {}
          }
          collective(scope, group, sameEverywhere.nextInt(), now);
        }
        world.barrier();
      } catch (CommunicationException e) {
        said.add(e.getMessage());
        throw e;
      }
      return null;
    }

    private static void collective(TensorScope scope, Communicator group, int seed, Fault fault) {
      Random random = new Random(seed);
      int size = group.size();
      int kind = random.nextInt(7);
      DType dtype = random.nextBoolean() ? DType.FLOAT32 : DType.BFLOAT16;
      if (fault == Fault.DTYPE) {
        kind = kind == 2 || kind == 3 || kind == 6 ? 0 : kind;
        dtype = dtype == DType.FLOAT32 ? DType.BFLOAT16 : DType.FLOAT32;
      }
      int count = 1 + random.nextInt(50);
      long[] rows = new long[size];
      for (int i = 0; i < size; i++) {
        rows[i] = random.nextInt(4);
      }
      int wrong = fault == Fault.SIZE ? 1 : 0;
      long own = rows[group.rank()] + wrong;
      Tensor sent = scope.zeros(dtype, size * 5L, 3);
      Tensor received = scope.zeros(dtype, size * 5L, 3);
      long[] mine = new long[size];
      java.util.Arrays.fill(mine, own);
      long[] wrongRows = rows.clone();
      wrongRows[group.rank()] += wrong;
      switch (kind) {
        case 0 -> group.allToAll(sent, mine, received, wrongRows);
        case 1 -> group.allReduce(scope.zeros(dtype, count + wrong));
        case 2 -> group.allGather(new long[count + wrong]);
        case 3 -> group.allToAll(new long[size * (count + wrong)]);
        case 4 -> group.allGather(sent, received, wrongRows);
        case 5 -> group.reduceScatter(sent, received, wrongRows);
        default -> group.broadcast(new byte[count], (count + wrong) % size);
      }
    }

    @Override
    public String toString() {
      return "schedule "
          + seed
          + ": rank "
          + culprit
          + " of "
          + ranks
          + " "
          + fault
          + " at step "
          + faultyStep;
    }
  }

  private static Set<Integer> ranksNamedIn(String message) {
    Set<Integer> named = new HashSet<>();
    Matcher lists = Pattern.compile("ranks? (\\d+(?:, \\d+)*)").matcher(message);
    while (lists.find()) {
      for (String rank : lists.group(1).split(", ")) {
        named.add(Integer.parseInt(rank));
      }
    }
    return named;
  }
}
