package panamoe.param;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.ArrayList;
import java.util.List;
import java.util.Random;
import java.util.Set;
import java.util.TreeSet;
import java.util.concurrent.ConcurrentHashMap;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import panamoe.checkpoint.CheckpointException;

/** Which experts are in memory, and their contents. */
class ExpertCacheTest {
  private static final int SLOT = 64;
  private static final int EXPERTS = 40;

  private final Arena arena = Arena.ofShared();
  private final Set<Integer> damaged = ConcurrentHashMap.newKeySet();
  private final Set<Integer> lost = ConcurrentHashMap.newKeySet();
  private final List<Integer> mended = new ArrayList<>();
  private ExpertCache cache;

  /** Fills slots with the number of their expert. */
  private final ExpertCache.Source source =
      new ExpertCache.Source() {
        @Override
        public boolean read(int expert, MemorySegment slot) {
          if (lost.contains(expert)) {
            throw new CheckpointException("the disk is gone");
          }
          slot.fill((byte) (damaged.contains(expert) ? -1 : expert));
          return !damaged.contains(expert);
        }

        @Override
        public void mend(int expert, MemorySegment slot) {
          slot.fill((byte) expert);
          damaged.remove(expert);
          mended.add(expert);
        }

        @Override
        public long bytes(int expert) {
          return SLOT;
        }

        @Override
        public void close() {}
      };

  private void open(int slots) {
    cache = new ExpertCache(arena.allocate((long) slots * SLOT), SLOT, EXPERTS, source);
  }

  @AfterEach
  void close() {
    cache.close();
    arena.close();
  }

  private void use(int... experts) {
    Set<Integer> used = new TreeSet<>();
    cache.use(
        experts,
        () -> {},
        (memory, expert) -> {
          assertEquals((byte) expert, memory.get(ValueLayout.JAVA_BYTE, SLOT - 1));
          assertTrue(used.add(expert));
        });
    assertEquals(experts.length, used.size());
  }

  @Test
  void everyUseGetsItsOwnExpertWhateverIsGuessed() {
    Random random = new Random(3);
    for (int slots : new int[] {1, 2, 3, 7, EXPERTS}) {
      if (cache != null) {
        cache.close();
      }
      open(slots);
      long uses = 0;
      for (int step = 0; step < 200; step++) {
        int[] experts =
            random.ints(0, EXPERTS).distinct().limit(1 + random.nextInt(EXPERTS)).toArray();
        int[] guessed = random.ints(0, EXPERTS).distinct().limit(random.nextInt(5)).toArray();
        if (random.nextInt(9) == 0) {
          damaged.add(random.nextInt(EXPERTS));
        }
        cache.use(
            experts,
            () -> cache.guess(guessed),
            (memory, expert) ->
                assertEquals((byte) expert, memory.get(ValueLayout.JAVA_BYTE, SLOT - 1)));
        uses += experts.length;
      }
      ExpertCacheStatistics statistics = cache.statistics();
      assertEquals(uses, statistics.uses().count());
      assertTrue(
          statistics.uses().hits() < uses
              && statistics.reads().bytes() >= SLOT * (uses - statistics.uses().hits()));
      assertEquals(
          slots == EXPERTS,
          statistics.reads().bytes() <= SLOT * (EXPERTS + statistics.reads().mended()));
    }
    assertTrue(mended.size() > 10, mended + " were mended");
  }

  /** Often used experts survive many that are used once, as in a long prompt. */
  @Test
  void theLeastUsedMakesRoom() {
    open(4);
    for (int i = 0; i < 10; i++) {
      use(1, 2);
    }
    for (int expert = 10; expert < 30; expert++) {
      use(expert);
    }
    long before = cache.statistics().uses().hits();
    use(1, 2);
    assertEquals(before + 2, cache.statistics().uses().hits());
  }

  /** Experts that were often used long ago are evicted. */
  @Test
  void oldUsesCountLess() {
    open(2);
    for (int i = 0; i < 3; i++) {
      use(1);
    }
    for (int i = 0; i < 40 * EXPERTS; i++) {
      use(2);
    }
    use(3); // takes the place of 1
    use(4); // and of 3
    use(3);
    long before = cache.statistics().uses().hits();
    use(3);
    assertEquals(before + 1, cache.statistics().uses().hits());
  }

  @Test
  void guessesAreHitsOfTheNextUse() {
    open(6);
    cache.use(new int[] {0}, () -> cache.guess(new int[] {8, 9, 10, 11, 12}), (_, _) -> {});
    assertEquals(3, cache.statistics().guesses().made(), "half of the slots");
    use(8, 11);
    ExpertCacheStatistics statistics = cache.statistics();
    assertEquals(1, statistics.guesses().right());
    assertEquals(1, statistics.uses().hits());
    use(8);
    assertEquals(1, cache.statistics().guesses().right());
  }

  /** Prefetching ends if hardly any prediction is right. */
  @Test
  void guessesThatAreWrongEnd() {
    open(6);
    for (int step = 0; step < 100; step++) {
      int wrong = 10 + step % 20;
      cache.use(new int[] {step % 3}, () -> cache.guess(new int[] {wrong}), (_, _) -> {});
    }
    assertEquals(33, cache.statistics().guesses().made());
    assertEquals(0, cache.statistics().guesses().right());
  }

  @Test
  void aFailedReadIsTriedAgain() {
    open(3);
    lost.add(5);
    assertEquals(
        "the disk is gone", assertThrows(CheckpointException.class, () -> use(1, 5)).getMessage());
    lost.clear();
    use(1, 5, 7);
  }

  /** The most used experts of earlier runs are read at the start. */
  @Test
  void startsWarm() {
    open(3);
    long[] before = new long[EXPERTS];
    before[4] = 10;
    before[6] = 30;
    cache.warm(before);
    use(4, 6);
    assertEquals(2, cache.statistics().uses().hits());
    assertEquals(2 * SLOT, cache.statistics().reads().bytes());
  }

  @Test
  void tellsWhatWritingCosts() {
    open(2);
    use(1, 2, 3);
    cache.stepped(9, false);
    use(4, 5);
    cache.stepped(2, true);
    ExpertCacheStatistics statistics = cache.statistics();
    assertEquals(2, statistics.written().tokens());
    assertEquals(2 * SLOT, statistics.written().bytes());
    assertEquals(SLOT, statistics.written().bytesPerToken());
    assertEquals(statistics.reads().bandwidth() / SLOT, statistics.mostTokensPerSecond());
  }
}
