package panamoe.engine.schedule;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.ArrayList;
import java.util.List;
import java.util.Random;
import java.util.Set;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;
import panamoe.engine.EngineConfig;
import panamoe.engine.GenerationRequest;
import panamoe.engine.StopConfig;
import panamoe.engine.sample.SamplingConfig;

/**
 * Layers with a window have few blocks, and sequences equal those of layers that keep all, over a
 * model whose logits are a hash of its cache.
 */
class WindowBlocksTest {
  private static final int CONTEXT = 40;

  private static Engine engine(HashRunner runner, EngineConfig config, int ranks, int context) {
    return new Engine(
        runner, ranks, new EngineTest.Letters(), config, context, HashRunner.VOCABULARY);
  }

  private static Engine windowed(EngineConfig config, int ranks, int context, int window) {
    return engine(new HashRunner(config, ranks, context, window, true), config, ranks, context);
  }

  private static void drain(Engine engine) {
    while (engine.step()) {}
    assertEquals(0, engine.usage(), "blocks are lost");
    assertEquals(0, engine.windowBlocks(), "blocks of windows are lost");
  }

  /** A single sequence, with a block of one token for each position in all layers. */
  private static ListenerLog alone(GenerationRequest request, int window) {
    EngineConfig config = new EngineConfig(CONTEXT, 1, 1, 1, 1, false, 0);
    Engine engine = engine(new HashRunner(config, 1, CONTEXT, window, false), config, 1, CONTEXT);
    ListenerLog recorder = new ListenerLog();
    engine.submit(request, recorder);
    while (engine.step()) {}
    return recorder;
  }

  /** With any other sequences, shared prefixes, preemptions, cancellations and guesses. */
  @ParameterizedTest
  @ValueSource(ints = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10})
  void aTextIsTheSameAloneAndInAStorm(int seed) {
    Random random = new Random(seed);
    int window = 1 + random.nextInt(12);
    int blockSize = 1 + random.nextInt(5);
    int fewest = Math.ceilDiv(CONTEXT, blockSize);
    int sequences = 1 + random.nextInt(8);
    EngineConfig config =
        new EngineConfig(
            fewest + random.nextInt(4 * fewest),
            blockSize,
            sequences,
            sequences + random.nextInt(20),
            random.nextInt(3) * 0.5,
            random.nextInt(4) > 0,
            random.nextInt(16));
    EngineTest.storm(
        windowed(config, 1 + seed % 3, CONTEXT, window),
        random,
        WindowBlocksTest::drain,
        request -> alone(request, window));
  }

  private static ListenerLog submit(Engine engine, int[] prompt, int tokens) {
    ListenerLog recorder = new ListenerLog();
    StopConfig until = new StopConfig(tokens, 0, List.of(), Set.of(), true, false);
    engine.submit(GenerationRequest.of(prompt, SamplingConfig.GREEDY, until), recorder);
    return recorder;
  }

  private static int[] prompt(long seed, int length) {
    return new Random(seed).ints(length, 0, HashRunner.NAN).toArray();
  }

  /**
   * Few blocks for long sequences, but all that the next rows read, also after rejected guesses.
   */
  @Test
  void aLongTextUsesTheBlocksOfItsWindow() {
    int window = 10;
    int guesses = 4;
    EngineConfig config = new EngineConfig(3 * 250, 4, 3, 16, 1, true, guesses);
    assertEquals(2 * (3 * (3 + 2) + 4), config.windowBlocks(window));
    Engine engine = windowed(config, 1, 1000, window);
    List<ListenerLog> texts =
        IntStream.range(0, 3).mapToObj(text -> submit(engine, prompt(text, 400), 600)).toList();
    double usage = 0;
    while (engine.step()) {
      int least = 0;
      int most = config.blocksOf(16); // prompts in this step
      for (ListenerLog text : texts) {
        int computed = text.over() || text.tokens.isEmpty() ? 0 : 400 + text.tokens.size() - 1;
        int first = Math.max(0, computed - window + 1) / 4;
        least += config.blocksOf(computed) - first;
        most += config.blocksOf(computed + guesses) - first + (computed == 0 ? 3 : 0);
      }
      assertTrue(engine.windowBlocks() >= least, engine.windowBlocks() + " of " + least);
      assertTrue(engine.windowBlocks() <= most, engine.windowBlocks() + ", more than " + most);
      usage = Math.max(usage, engine.usage());
    }
    assertTrue(usage > 0.9, "the other blocks are nearly all used");
    assertEquals(0, engine.windowBlocks());
    assertEquals(0, engine.interruptions());
  }

  /** The row after rejected guesses reads a window that begins before theirs. */
  @Test
  void wrongGuessesLetNothingGo() {
    CacheBlocks cache = new CacheBlocks(new EngineConfig(20, 1, 1, 16, 1, true, 4), 3);
    StepPlan plan = new StepPlan(1, 16);
    GenerationRequest request =
        GenerationRequest.of(prompt(5, 6), SamplingConfig.GREEDY, StopConfig.of(9, List.of()));
    Sequence text = new Sequence(request, new ListenerLog(), null, 0, List.of(), null, null, 0);
    text.rank = 0;
    text.slot = 0;
    cache.find(text);
    cache.share(text, plan);
    IntStream.range(0, 11).forEach(_ -> cache.take(text, plan));
    cache.add(text, 6, 0, plan);
    assertEquals(6, cache.windowsUsed());
    cache.computed(text, 6);
    assertEquals(4, text.windowFirst);
    assertEquals(2, cache.windowsUsed());
    text.append(1);
    text.reserve(4);
    cache.add(text, 1 + 4, 4, plan);
    cache.computed(text, 1);
    assertEquals(5, text.windowFirst);
    assertEquals(11, text.windowEnd);
    cache.release(text);
    assertEquals(0, cache.windowsUsed());
    assertEquals(20, cache.unused());
  }

  /** Sequences that guess alternately hold blocks of their latest guesses only. */
  @Test
  void oldGuessesHoldNothing() {
    int guesses = 16;
    EngineConfig config = new EngineConfig(400, 1, 8, 8 + guesses, 1, true, guesses);
    assertEquals(2 * (8 * 3 + 24), config.windowBlocks(1));
    CacheBlocks cache = new CacheBlocks(config, 1);
    StepPlan plan = new StepPlan(1, config.stepTokens());
    List<Sequence> texts = new ArrayList<>();
    for (int slot = 0; slot < 8; slot++) {
      GenerationRequest request =
          GenerationRequest.of(prompt(slot, 1), SamplingConfig.GREEDY, StopConfig.of(9, List.of()));
      Sequence text =
          new Sequence(request, new ListenerLog(), null, slot, List.of(), null, null, 0);
      text.rank = 0;
      text.slot = slot;
      cache.find(text);
      cache.share(text, plan);
      IntStream.range(0, 40).forEach(_ -> cache.take(text, plan));
      texts.add(text);
    }
    for (int step = 0; step < 16; step++) {
      plan.clear();
      for (Sequence text : texts) {
        int wrong = text.slot == step % 8 ? guesses : 0;
        text.reserve(guesses);
        cache.add(text, 1 + wrong, wrong, plan);
      }
      assertEquals(8 + guesses, cache.windowsUsed());
      for (Sequence text : texts) {
        cache.computed(text, 1);
        text.append(1);
      }
    }
    texts.forEach(cache::release);
    assertEquals(0, cache.windowsUsed());
  }

  /** A shared prefix ends where its whole last window is still cached. */
  @Test
  void aTextGoesOnBehindAWindowThatIsThere() {
    EngineConfig config = new EngineConfig(100, 4, 1, 4, 1, true, 0);
    assertEquals(10, config.windowBlocks(8));
    Engine engine = windowed(config, 1, CONTEXT, 8);
    ListenerLog first = submit(engine, prompt(1, 29), 3);
    drain(engine);
    submit(engine, prompt(2, 15), 2); // takes two unused blocks, and the first two
    drain(engine);
    ListenerLog second = submit(engine, prompt(1, 29), 3);
    drain(engine);
    assertEquals(28, second.generation.sharedTokens());
    submit(engine, prompt(3, 36), 4); // takes all
    drain(engine);
    ListenerLog third = submit(engine, prompt(1, 29), 3);
    drain(engine);
    assertEquals(0, third.generation.sharedTokens());
    assertEquals(first.tokens, second.tokens);
    assertEquals(first.tokens, third.tokens);
    ListenerLog fourth = submit(engine, prompt(1, 29), 3);
    drain(engine);
    assertEquals(28, fourth.generation.sharedTokens(), "the third has computed the window again");
    assertEquals(first.tokens, fourth.tokens);
  }

  /** Sequences with one prefix share its window until the last has passed it. */
  @Test
  void textsOfOneBeginningShareItsWindow() {
    int[] prompt = prompt(4, 25);
    EngineConfig config = new EngineConfig(100, 4, 8, 64, 0.25, true, 0);
    Engine engine = windowed(config, 1, CONTEXT, 8);
    ListenerLog first = submit(engine, prompt, 4);
    drain(engine);
    ListenerLog[] texts = new ListenerLog[8];
    for (int i = 0; i < texts.length; i++) {
      texts[i] = submit(engine, prompt, i);
    }
    engine.step();
    assertEquals(2 + 6, engine.windowBlocks(), "two that all share, one of each text left");
    drain(engine);
    for (int i = 1; i < texts.length; i++) {
      assertEquals(24, texts[i].generation.sharedTokens());
      assertEquals(i, texts[i].tokens.size());
      int same = Math.min(i, 4);
      assertEquals(first.tokens.subList(0, same), texts[i].tokens.subList(0, same));
    }
  }
}
