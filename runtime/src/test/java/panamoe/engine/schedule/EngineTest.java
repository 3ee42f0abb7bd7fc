package panamoe.engine.schedule;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertSame;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.BitSet;
import java.util.Collections;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.Set;
import java.util.SplittableRandom;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import java.util.function.Consumer;
import java.util.function.Function;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;
import panamoe.backend.reference.ReferenceBackend;
import panamoe.data.ByteTokenizer;
import panamoe.data.Tokenizer;
import panamoe.engine.EngineConfig;
import panamoe.engine.Generation;
import panamoe.engine.Generation.End;
import panamoe.engine.GenerationHandle;
import panamoe.engine.GenerationListener;
import panamoe.engine.GenerationRequest;
import panamoe.engine.GenerationRequest.Terms;
import panamoe.engine.Readout;
import panamoe.engine.StopConfig;
import panamoe.engine.routes.Routing;
import panamoe.engine.sample.SamplingConfig;
import panamoe.engine.sample.TokenConstraint;
import panamoe.engine.sample.TokenLogprobs;
import panamoe.tensor.Tensor;

/** Scheduling of many sequences, over a model whose logits are a hash of its cache. */
class EngineTest {
  private static final int CONTEXT = 40;
  private static final StopConfig NONE = StopConfig.of(0, List.of());
  private static final EngineConfig ROOMY = new EngineConfig(200, 4, 50, 64, 0.25, true, 0);

  /** Bytes from 'A' on, and token 60 as the end of text. */
  static final class Letters implements Tokenizer {
    @Override
    public int[] encode(String text) {
      return text.chars().map(letter -> letter - 'A').toArray();
    }

    @Override
    public byte[] bytesOf(int token) {
      return token == endOfText() ? new byte[0] : new byte[] {(byte) ('A' + token)};
    }

    @Override
    public int vocabularySize() {
      return HashRunner.VOCABULARY;
    }

    @Override
    public int endOfText() {
      return 60;
    }

    @Override
    public String sha256() {
      return new ByteTokenizer().sha256();
    }
  }

  private HashRunner runner;

  private Engine engine(EngineConfig config, int ranks) {
    runner = new HashRunner(config, ranks, CONTEXT);
    return new Engine(runner, ranks, new Letters(), config, CONTEXT, HashRunner.VOCABULARY);
  }

  private static void drain(Engine engine) {
    while (engine.step()) {
      assertTrue(engine.usage() <= 1);
    }
    assertEquals(0, engine.usage(), "blocks are lost");
  }

  private static ListenerLog alone(GenerationRequest request) {
    ListenerLog recorder = new ListenerLog();
    EngineTest test = new EngineTest();
    Engine engine = test.engine(new EngineConfig(40, 1, 1, 1, 1, false, 0), 1);
    engine.submit(request, recorder);
    drain(engine);
    return recorder;
  }

  static GenerationRequest random(Random random) {
    int shared = random.nextInt(3) * 6;
    int own = random.nextInt(8) + (shared == 0 ? 1 : 0);
    int[] prompt =
        IntStream.concat(
                IntStream.range(0, shared).map(i -> 3 * i % 50),
                random.ints(own, 0, HashRunner.NAN))
            .toArray();
    boolean slide = random.nextBoolean();
    Terms terms = new Terms(random.nextInt(2), "user" + random.nextInt(3), "", Terms.NEVER);
    Routing routing =
        random.nextInt(3) == 0 ? new Routing(false, false, List.of(1)) : Routing.USUAL;
    if (random.nextInt(4) == 0) {
      Readout readout = Readout.values()[random.nextInt(4)];
      return GenerationRequest.reading(prompt, readout, terms).with(routing);
    }
    Readout readout = random.nextInt(4) == 0 ? Readout.LOGPROBS : null;
    return new GenerationRequest(
        prompt,
        new SamplingConfig(
            random.nextInt(3) * 0.7,
            random.nextInt(2) * 8,
            0.9,
            0.05,
            new SamplingConfig.Penalties(1.2, 0.1, 0.2),
            Map.of(random.nextInt(50), 1.5f),
            random.nextLong()),
        new StopConfig(random.nextInt(60), 2, List.of("QRS"), Set.of(7), false, slide),
        3,
        null,
        terms,
        routing,
        readout);
  }

  /** With any other sequences, shared prefixes and preemptions. */
  @ParameterizedTest
  @ValueSource(ints = {1, 2, 3, 4, 5, 6, 7, 8})
  void aTextIsTheSameAloneAndInAStorm(int seed) {
    Random random = new Random(seed);
    int blockSize = 1 + random.nextInt(5);
    int fewest = Math.ceilDiv(CONTEXT, blockSize);
    int sequences = 1 + random.nextInt(8);
    EngineConfig config =
        new EngineConfig(
            fewest + random.nextInt(2 * fewest),
            blockSize,
            sequences,
            sequences + random.nextInt(20),
            random.nextInt(3) * 0.5,
            random.nextInt(4) > 0,
            random.nextInt(4));
    int ranks = 1 + seed % 3;
    storm(engine(config, ranks), random, EngineTest::drain, EngineTest::alone);
  }

  /** Many sequences, some cancelled; each equals its single run. */
  static void storm(
      Engine engine,
      Random random,
      Consumer<Engine> drain,
      Function<GenerationRequest, ListenerLog> alone) {
    Map<ListenerLog, GenerationRequest> asked = new HashMap<>();
    for (int i = 0; i < 60; i++) {
      GenerationRequest request = random(random);
      ListenerLog recorder = new ListenerLog();
      GenerationHandle handle = engine.submit(request, recorder);
      if (random.nextInt(5) == 0) {
        for (int step = random.nextInt(10); step > 0; step--) {
          engine.step();
        }
        handle.cancel();
      } else {
        asked.put(recorder, request);
      }
      for (int step = random.nextInt(4); step > 0; step--) {
        engine.step();
      }
    }
    drain.accept(engine);
    asked.forEach(
        (found, request) -> {
          ListenerLog expected = alone.apply(request);
          assertEquals(expected.tokens, found.tokens, request::toString);
          assertEquals(expected.logprobBits, found.logprobBits, request::toString);
          assertArrayEquals(expected.read, found.read, request::toString);
          assertEquals(expected.promptBits, found.promptBits, request::toString);
          boolean scored = request.readout() == Readout.LOGPROBS;
          assertEquals(scored ? 4 * request.prompt().length - 4 : 0, found.promptBits.size());
          assertEquals(request.readout() == null || scored, found.read == null);
          assertEquals(expected.text.toString(), found.text.toString());
          assertEquals(expected.generation.end(), found.generation.end());
          assertEquals(expected.generation.text(), found.generation.text());
        });
  }

  @Test
  void roomRunsOutAndTheYoungestIsInterrupted() {
    Engine engine = engine(new EngineConfig(10, 4, 4, 16, 0, false, 0), 1);
    List<ListenerLog> recorders = new ArrayList<>();
    for (int i = 0; i < 4; i++) {
      recorders.add(submit(engine, request("ABCDEF" + (char) ('G' + i), 20)));
    }
    drain(engine);
    assertTrue(engine.interruptions() > 0);
    for (ListenerLog recorder : recorders) {
      assertEquals(20, recorder.tokens.size());
    }
  }

  @Test
  void withAFullReserveNobodyIsInterrupted() {
    Engine engine = engine(new EngineConfig(10, 4, 4, 16, 1, false, 0), 1);
    for (int i = 0; i < 4; i++) {
      submit(engine, request("ABCDEF" + (char) ('G' + i), 20));
    }
    drain(engine);
    assertEquals(0, engine.interruptions());
  }

  private static GenerationRequest request(String prompt, int tokens) {
    return GenerationRequest.of(
        new Letters().encode(prompt),
        SamplingConfig.GREEDY,
        new StopConfig(tokens, 0, List.of(), Set.of(), true, false));
  }

  private static ListenerLog submit(Engine engine, GenerationRequest request) {
    ListenerLog recorder = new ListenerLog();
    engine.submit(request, recorder);
    return recorder;
  }

  @Test
  void whatAnEarlierTextBeganWithIsNotComputedAgain() {
    Engine engine = engine(ROOMY, 1);
    ListenerLog first = submit(engine, request("ABCDEFGHIJKLM", 3));
    drain(engine);
    long before = runner.rows;
    ListenerLog second = submit(engine, request("ABCDEFGHIJKLM", 3));
    drain(engine);
    assertEquals(0, first.generation.sharedTokens());
    assertEquals(12, second.generation.sharedTokens());
    assertEquals(1 + 2, runner.rows - before);
    assertEquals(first.tokens, second.tokens);
    GenerationRequest again = request("ABCDEFGHIJKLM", 3);
    ListenerLog third = submit(engine, again.with(new Terms(0, "", "salt", Terms.NEVER)));
    drain(engine);
    assertEquals(0, third.generation.sharedTokens());
    assertEquals(first.tokens, third.tokens);
  }

  /** Reading begins after a shared prefix, except for a mean, which reads it. */
  @Test
  void aPromptIsReadInPartsWithoutWhatIsKnown() {
    int[] prompt = new Letters().encode("ABCDEFGHIJKLM");
    Engine engine = engine(new EngineConfig(200, 4, 50, 50, 0.25, true, 0), 1);
    submit(engine, request("ABCDEFGHIJKLM", 1));
    drain(engine);
    for (Readout readout : List.of(Readout.FIRST, Readout.LAST, Readout.MEAN, Readout.LOGITS)) {
      long before = runner.rows;
      ListenerLog log = submit(engine, GenerationRequest.reading(prompt, readout, Terms.USUAL));
      drain(engine);
      boolean last = readout == Readout.LAST || readout == Readout.LOGITS;
      assertEquals(last ? 1 : 13, runner.rows - before);
      assertEquals(End.LENGTH, log.generation.end());
      assertEquals(0, log.generation.tokens());
      float[] expected = new float[HashRunner.VOCABULARY];
      Engine parts = engine(new EngineConfig(40, 1, 1, 3, 1, false, 0), 1);
      ListenerLog same = submit(parts, GenerationRequest.reading(prompt, readout, Terms.USUAL));
      drain(parts);
      assertEquals(readout == Readout.FIRST ? 1 : 5, runner.steps);
      double[] sums = new double[expected.length];
      for (int length = 1; length <= prompt.length; length++) {
        int[] first = Arrays.copyOf(prompt, length);
        ListenerLog one = new ListenerLog();
        Engine other = engine(ROOMY, 1);
        other.submit(GenerationRequest.reading(first, Readout.LAST, Terms.USUAL), one);
        drain(other);
        boolean read =
            readout == Readout.MEAN || length == (readout == Readout.FIRST ? 1 : prompt.length);
        for (int i = 0; i < sums.length && read; i++) {
          sums[i] += one.read[i];
          expected[i] = (float) (sums[i] / (readout == Readout.MEAN ? length : 1));
        }
      }
      assertArrayEquals(expected, log.read, readout::toString);
      assertArrayEquals(expected, same.read, readout::toString);
      engine = engine(new EngineConfig(200, 4, 50, 50, 0.25, true, 0), 1);
      submit(engine, request("ABCDEFGHIJKLM", 1));
      drain(engine);
    }
  }

  /** The log probabilities of a prompt have the bits of those with which it was written. */
  @Test
  void aPromptIsScoredAsItWasWritten() {
    GenerationRequest first = request("ABCDEFGH", 20).withLogprobs(2);
    Engine engine = engine(ROOMY, 1);
    ListenerLog written = submit(engine, first);
    drain(engine);
    int[] both =
        IntStream.concat(
                Arrays.stream(first.prompt()),
                written.tokens.stream().mapToInt(Integer::intValue).limit(17))
            .toArray();
    runner = new HashRunner(ROOMY, 1, CONTEXT);
    int wide = (64 << 20) / Float.BYTES / 3; // so that three rows of a step are scored
    Engine narrow = new Engine(runner, 1, new Letters(), ROOMY, CONTEXT, wide);
    for (Engine scoring : List.of(engine, narrow)) {
      for (int more : new int[] {0, 3}) {
        StopConfig stop = new StopConfig(more, 0, List.of(), Set.of(), true, false);
        ListenerLog scored =
            submit(
                scoring,
                GenerationRequest.of(both, SamplingConfig.GREEDY, stop)
                    .withLogprobs(2)
                    .with(Readout.LOGPROBS));
        drain(scoring);
        assertEquals(3 * 24, scored.promptBits.size());
        assertEquals(written.logprobBits.subList(0, 3 * 17), scored.promptBits.subList(3 * 7, 72));
        assertEquals(written.tokens.subList(17, 17 + more), scored.tokens);
        assertEquals(written.logprobBits.subList(3 * 17, 3 * (17 + more)), scored.logprobBits);
        assertEquals(0, scored.generation.sharedTokens());
      }
    }
    assertEquals(8 + 9 + 2, runner.steps); // 24 rows by threes, or 25 and two more tokens
  }

  @Test
  void aPromptThatCannotBeScoredFailsAlone() {
    Engine engine = engine(ROOMY, 1);
    int[] prompt = {1, 2, HashRunner.NAN, 3, 4};
    GenerationRequest scored = GenerationRequest.of(prompt, SamplingConfig.GREEDY, NONE);
    ListenerLog failed = submit(engine, scored.withLogprobs(1).with(Readout.LOGPROBS));
    ListenerLog good = submit(engine, request("AB", 3));
    drain(engine);
    assertTrue(
        failed.failure.getMessage().contains("not finite in layer 3"), failed.failure::toString);
    assertEquals(3, good.tokens.size());
    assertThrows(IllegalArgumentException.class, () -> scored.with(Readout.LOGPROBS));
  }

  /** The token that ends a sequence is told to those who ask for log probabilities. */
  @Test
  void theTokenThatEndsIsTold() {
    Engine engine = engine(ROOMY, 1);
    int[] prompt = new Letters().encode("ABC");
    StopConfig free = new StopConfig(5, 0, List.of(), Set.of(), true, false);
    ListenerLog written = submit(engine, GenerationRequest.of(prompt, SamplingConfig.GREEDY, free));
    drain(engine);
    int third = written.tokens.get(2);
    StopConfig stop = new StopConfig(5, 2, List.of(), Set.of(third), true, false);
    GenerationRequest stopped = GenerationRequest.of(prompt, SamplingConfig.GREEDY, stop);
    ListenerLog silent = submit(engine, stopped);
    ListenerLog told = submit(engine, stopped.withLogprobs(0));
    drain(engine);
    assertNull(silent.ending);
    assertEquals(third, told.ending);
    assertEquals(written.tokens.subList(0, 2), told.tokens);
    assertEquals(3, told.logprobBits.size());
    assertEquals(End.STOP, told.generation.end());
  }

  @Test
  void aPromptIsComputedInPartsBesideWriting() {
    Engine engine = engine(new EngineConfig(40, 4, 4, 6, 0.25, true, 0), 1);
    ListenerLog writer = submit(engine, request("AB", 30));
    engine.step();
    ListenerLog reader = submit(engine, request("CDEFGHIJKLMNOPQRSTUVWXYZ", 2));
    int steps = 0;
    while (reader.tokens.isEmpty()) {
      engine.step();
      steps++;
    }
    assertEquals(5, steps, "24 tokens, 5 per step with the decoding one");
    assertEquals(1 + steps, writer.tokens.size());
  }

  @Test
  void usersTakeTurnsAndPriorityGoesFirst() {
    Engine engine = engine(new EngineConfig(40, 4, 1, 8, 0.25, true, 0), 1);
    List<String> order = new ArrayList<>();
    for (String name : List.of("a1", "a2", "a3", "b1", "c1", "A9")) {
      int priority = name.equals("A9") ? 1 : 0;
      engine.submit(
          request("AB", 1).with(new Terms(priority, name.substring(0, 1), "", Terms.NEVER)),
          new GenerationListener() {
            @Override
            public void ended(Generation generation) {
              order.add(name);
            }
          });
    }
    drain(engine);
    assertEquals(List.of("A9", "a1", "b1", "c1", "a2", "a3"), order);
  }

  @Test
  void endsAreTold() {
    Engine engine = engine(ROOMY, 1);
    assertEquals(End.LENGTH, engine.run(request("ABC", 0), _ -> {}).end());
    assertEquals(End.LENGTH, engine.run(request("ABC", 5), _ -> {}).end());
    Generation atContext = engine.run(request("ABC", 100), _ -> {});
    assertEquals(End.LENGTH, atContext.end());
    assertEquals(CONTEXT - 3, atContext.tokens());
    GenerationRequest late = request("A", 9).with(new Terms(0, "", "", System.nanoTime() - 1));
    Generation none = engine.run(late, _ -> {});
    assertEquals(End.DEADLINE, none.end());
    assertEquals(0, none.tokens());
    assertEquals(0, none.times().started());
    ListenerLog recorder = new ListenerLog();
    GenerationHandle handle = engine.submit(request("ABC", 9), recorder);
    engine.step();
    handle.cancel();
    drain(engine);
    assertEquals(End.CANCELLED, recorder.generation.end());
    assertEquals(1, recorder.generation.tokens());
  }

  /** Only even letters; may end after four. */
  private static final class Even implements TokenConstraint {
    private int accepted;

    @Override
    public BitSet allowed() {
      BitSet allowed = new BitSet();
      IntStream.range(0, 29).forEach(i -> allowed.set(2 * i));
      allowed.set(60, accepted >= 4);
      return allowed;
    }

    @Override
    public void accept(int token) {
      accepted++;
    }
  }

  @Test
  void aConstraintIsKept() {
    Engine engine = engine(ROOMY, 1);
    for (int seed = 0; seed < 20; seed++) {
      ListenerLog recorder =
          submit(
              engine,
              new GenerationRequest(
                  new int[] {1, 2},
                  SamplingConfig.of(1, 0, 1, seed),
                  StopConfig.of(20, List.of()),
                  -1,
                  Even::new,
                  Terms.USUAL));
      drain(engine);
      assertTrue(recorder.tokens.size() >= 4);
      recorder.tokens.forEach(token -> assertEquals(0, token % 2));
    }
  }

  /** Allows only the token whose logit is NaN, {@link HashRunner#NAN}. */
  private static final class OnlyNumber implements TokenConstraint {
    @Override
    public BitSet allowed() {
      BitSet allowed = new BitSet();
      allowed.set(HashRunner.NAN);
      return allowed;
    }

    @Override
    public void accept(int token) {}
  }

  @Test
  void aConstraintHidesNoLogitThatIsNotFinite() {
    Engine engine = engine(ROOMY, 1);
    ListenerLog recorder =
        submit(
            engine,
            new GenerationRequest(
                new int[] {1, HashRunner.NAN},
                SamplingConfig.GREEDY,
                StopConfig.of(3, List.of()),
                -1,
                OnlyNumber::new,
                Terms.USUAL));
    drain(engine);
    assertEquals(List.of(), recorder.tokens);
    assertTrue(recorder.failure.getMessage().contains("not finite"), recorder.failure::toString);
  }

  /** Guesses are right where a sequence repeats itself. */
  @Test
  void guessesSaveStepsAndChangeNothing() {
    GenerationRequest request = request("ABCABCABCABC", 20);
    Engine engine = engine(new EngineConfig(40, 4, 4, 16, 0.25, true, 4), 1);
    ListenerLog found = submit(engine, request);
    drain(engine);
    assertEquals(alone(request).tokens, found.tokens);
    Map<Integer, Float> bias = Map.of(3, 90f);
    GenerationRequest repeating =
        GenerationRequest.of(
            request.prompt(),
            new SamplingConfig(0, 0, 1, 0, SamplingConfig.Penalties.NONE, bias, 0),
            request.stop());
    int before = runner.steps;
    ListenerLog same = submit(engine, repeating);
    drain(engine);
    assertEquals(Collections.nCopies(20, 3), same.tokens);
    assertTrue(runner.steps - before < 10, "steps: " + (runner.steps - before));
  }

  @Test
  void closingCancelsWhatIsLeft() {
    Engine engine = engine(ROOMY, 1);
    ListenerLog running = submit(engine, request("ABC", 9));
    engine.step();
    ListenerLog waiting = submit(engine, request("ABC", 9));
    engine.close();
    assertEquals(End.CANCELLED, running.generation.end());
    assertEquals(End.CANCELLED, waiting.generation.end());
  }

  @Test
  void oneTextFailsAlone() {
    Engine engine = engine(ROOMY, 1);
    ListenerLog good = submit(engine, request("ABC", 9));
    ListenerLog nan = submit(engine, request("AB" + (char) ('A' + HashRunner.NAN), 9));
    ListenerLog refused = submit(engine, request("AB" + (char) ('A' + HashRunner.REFUSED), 9));
    drain(engine);
    assertEquals(alone(request("ABC", 9)).tokens, good.tokens);
    assertNull(nan.generation);
    assertTrue(
        nan.failure.getMessage().contains("not finite in layer 3 after 3 tokens"),
        nan.failure::toString);
    assertEquals("token 59 is refused", refused.failure.getMessage());
  }

  /** Like ranks, which cannot continue after a failure. */
  @Test
  void whereNothingCanBeComputedAgainAllTextsFail() {
    HashRunner lost =
        new HashRunner(ROOMY, 1, CONTEXT) {
          @Override
          public boolean recovers() {
            return false;
          }
        };
    Engine engine = new Engine(lost, 1, new Letters(), ROOMY, CONTEXT, HashRunner.VOCABULARY);
    ListenerLog good = submit(engine, request("ABC", 9));
    ListenerLog refused = submit(engine, request("AB" + (char) ('A' + HashRunner.REFUSED), 9));
    assertThrows(IllegalArgumentException.class, engine::step);
    assertEquals("token 59 is refused", good.failure.getMessage());
    assertSame(good.failure, refused.failure);
    assertEquals(0, engine.usage());
  }

  @Test
  void whereTokensCannotBeDrawnAllTextsFail() {
    IllegalStateException gone = new IllegalStateException("the GPU is gone");
    HashRunner lost =
        new HashRunner(ROOMY, 1, CONTEXT) {
          @Override
          public Tensor output() {
            throw gone;
          }
        };
    Engine engine = new Engine(lost, 1, new Letters(), ROOMY, CONTEXT, HashRunner.VOCABULARY);
    ListenerLog text = submit(engine, request("ABC", 9));
    assertSame(gone, assertThrows(IllegalStateException.class, engine::step));
    assertSame(gone, text.failure);
    assertEquals(0, engine.usage());
  }

  @Test
  void anEngineThatFailsWhileItIsIdleSaysSo() throws InterruptedException {
    IllegalStateException gone = new IllegalStateException("rank 1 is gone");
    HashRunner lost =
        new HashRunner(ROOMY, 1, CONTEXT) {
          @Override
          public void idle() {
            throw gone;
          }

          @Override
          public void close() {
            throw new IllegalStateException("rank 1 is still gone");
          }
        };
    Engine engine = new Engine(lost, 1, new Letters(), ROOMY, CONTEXT, HashRunner.VOCABULARY);
    CountDownLatch failed = new CountDownLatch(1);
    EngineThread thread = new EngineThread(engine, _ -> {}, failed::countDown);
    assertTrue(failed.await(30, TimeUnit.SECONDS));
    assertSame(gone, thread.failure());
    assertThrows(
        IllegalStateException.class, () -> thread.submit(request("ABC", 1), new ListenerLog()));
  }

  @Test
  void aListenerThatThrowsEndsItsTextAlone() {
    Engine engine = engine(ROOMY, 1);
    ListenerLog other = submit(engine, request("ABC", 9));
    IllegalStateException thrown = new IllegalStateException("nobody listens");
    assertSame(
        thrown,
        assertThrows(
            IllegalStateException.class,
            () ->
                engine.run(
                    request("XYZ", 9),
                    _ -> {
                      throw thrown;
                    })));
    drain(engine);
    assertEquals(alone(request("ABC", 9)).tokens, other.tokens);
  }

  @Test
  void whatCannotBeWrittenIsRefused() {
    Engine engine = engine(new EngineConfig(5, 4, 2, 8, 0.25, true, 0), 1);
    assertRefused(
        engine, request("A".repeat(CONTEXT + 1), 1), "more than the model's context of 40");
    assertRefused(engine, request("A".repeat(10), 11), "more than the cache's 20");
    assertRefused(
        engine,
        GenerationRequest.of(new int[] {61}, SamplingConfig.GREEDY, request("A", 1).stop()),
        "token 61");
    assertThrows(IllegalArgumentException.class, () -> request("", 1));
    assertFalse(engine.step());
  }

  private static void assertRefused(Engine engine, GenerationRequest request, String why) {
    String message =
        assertThrows(
                IllegalArgumentException.class, () -> engine.submit(request, new ListenerLog()))
            .getMessage();
    assertTrue(message.contains(why), message);
  }

  @Test
  void logprobsAreThoseOfTheSoftmaxBestFirst() {
    float[] logits = new float[30];
    SplittableRandom random = new SplittableRandom(5);
    for (int i = 0; i < logits.length; i++) {
      logits[i] = (float) random.nextDouble();
    }
    logits[7] = logits[3];
    TokenLogprobs found = logprobs(logits, 30);
    double sum = 0;
    for (float logit : logits) {
      sum += Math.exp(logit);
    }
    for (int i = 0; i < 30; i++) {
      assertEquals(logits[found.tokens()[i]] - Math.log(sum), found.logprobs()[i], 1e-6);
      assertTrue(i == 0 || found.logprobs()[i] <= found.logprobs()[i - 1]);
    }
    assertEquals(30, IntStream.of(found.tokens()).distinct().count());
    assertEquals(logits[3] - Math.log(sum), found.logprob(), 1e-6);
    TokenLogprobs three = logprobs(logits, 3);
    assertEquals(found.tokens()[2], three.tokens()[2]);
  }

  private static TokenLogprobs logprobs(float[] logits, int best) {
    return TokenLogprobs.of(new ReferenceBackend(), logits, new int[] {3}, best).getFirst();
  }
}
