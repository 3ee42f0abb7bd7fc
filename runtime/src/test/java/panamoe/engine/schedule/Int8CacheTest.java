package panamoe.engine.schedule;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.ArrayList;
import java.util.List;
import java.util.Random;
import java.util.function.BiFunction;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import panamoe.backend.Backend;
import panamoe.backend.Backends;
import panamoe.comm.ThreadWorld;
import panamoe.comm.exchange.Strategy;
import panamoe.config.GateConfig;
import panamoe.config.ModelConfig;
import panamoe.data.ByteTokenizer;
import panamoe.engine.EngineConfig;
import panamoe.engine.GenerationRequest;
import panamoe.engine.StopConfig;
import panamoe.engine.sample.SamplingConfig;
import panamoe.model.LanguageModel;
import panamoe.parallel.Overlap;
import panamoe.parallel.Ranks;
import panamoe.parallel.Topology;
import panamoe.tensor.DType;

/** A PR-MoE over an int8 cache: near a float cache, and independent of other sequences. */
class Int8CacheTest {
  private static final int CONTEXT = 48;

  /** Blocks for a third of the sequences, with shared prefixes and guesses. */
  private static final EngineConfig STORM =
      new EngineConfig(14, 4, 5, 16, 0, true, 3).withInt8Cache(true);

  private static final EngineConfig ALONE =
      new EngineConfig(12, 4, 1, 1, 1, false, 0).withInt8Cache(true);

  private static final ModelConfig MODEL =
      RotaryModel.of(CONTEXT, 2, List.of(0, 4, 8), GateConfig.dropless(1));

  private static List<GenerationRequest> requests() {
    Random random = new Random(4);
    int[] shared = random.ints(9, 0, 256).toArray();
    List<GenerationRequest> requests = new ArrayList<>();
    for (int i = 0; i < 12; i++) {
      int[] prompt = i % 3 == 0 ? shared : random.ints(1 + random.nextInt(12), 0, 256).toArray();
      requests.add(
          GenerationRequest.of(
                  prompt,
                  SamplingConfig.of(i % 3 * 0.5, 0, 1, i),
                  StopConfig.of(10 + random.nextInt(20), List.of()))
              .withLogprobs(2));
    }
    return requests;
  }

  private static <T> T on(
      Topology topology, int threads, DType dtype, BiFunction<Backend, LanguageModel, T> body) {
    return ThreadWorld.of(topology.ranks())
        .run(
            world -> {
              Ranks ranks = new Ranks(topology, world, Strategy.FLAT, Overlap.NONE);
              try (Backend backend = Backends.open("cpu", threads);
                  LanguageModel model = new LanguageModel(MODEL, ranks)) {
                model.materialize(backend, dtype, false, 3);
                model.pack(backend, dtype);
                T result = body.apply(backend, model);
                ranks.close();
                return result;
              }
            })
        .getFirst();
  }

  /** Generates the sequences together, or one after the other. */
  private static List<ListenerLog> write(
      Backend backend, LanguageModel model, EngineConfig config, boolean together) {
    List<ListenerLog> texts = new ArrayList<>();
    try {
      Engine.onRanks(
          backend,
          model,
          new ByteTokenizer(),
          config,
          engine -> {
            for (GenerationRequest request : requests()) {
              ListenerLog recorder = new ListenerLog();
              engine.submit(request, recorder);
              texts.add(recorder);
              do {
                engine.step();
              } while (!together && !recorder.over());
            }
            while (engine.step()) {
              engine.idle();
            }
            assertEquals(together, engine.interruptions() > 0);
          });
    } catch (InterruptedException e) {
      throw new IllegalStateException(e);
    }
    return texts;
  }

  @ParameterizedTest
  @CsvSource({"1, 1, 1, 1, 3", "2, 2, 1, 1, 1", "2, 1, 2, 1, 2"})
  void aTextIsTheSameAloneAndInAStorm(int ranks, int experts, int tensor, int slices, int threads) {
    Topology topology = new Topology(ranks, experts, tensor, slices);
    Topology alone = new Topology(tensor, 1, tensor, slices);
    List<ListenerLog> expected =
        on(alone, 1, DType.FLOAT32, (backend, model) -> write(backend, model, ALONE, false));
    List<ListenerLog> found =
        on(
            topology,
            threads,
            DType.FLOAT32,
            (backend, model) -> write(backend, model, STORM, true));
    for (int i = 0; i < expected.size(); i++) {
      assertTrue(expected.get(i).tokens.size() > 5);
      assertEquals(expected.get(i).tokens, found.get(i).tokens);
      assertEquals(expected.get(i).logprobBits, found.get(i).logprobBits);
    }
  }

  /**
   * A byte is off by up to 1/254 of the head's largest element. Activations in bfloat16 then round
   * to neighbours, 1/128 apart, layer after layer.
   */
  @ParameterizedTest
  @CsvSource({"FLOAT32, 0.02", "BFLOAT16, 0.08"})
  void logitsAreNearThoseOfAFloatCache(DType dtype, double tolerance) {
    double[] error =
        on(
            Topology.ONE,
            1,
            dtype,
            (backend, model) -> {
              float[] floats = lastLogits(backend, model, false);
              float[] bytes = lastLogits(backend, model, true);
              double most = 0;
              double square = 0;
              for (int i = 0; i < floats.length; i++) {
                most = Math.max(most, Math.abs(floats[i] - bytes[i]));
                square += (double) floats[i] * floats[i] / floats.length;
              }
              return new double[] {most, Math.sqrt(square)};
            });
    assertTrue(error[0] > 0 && error[0] < tolerance * error[1], error[0] + " of " + error[1]);
  }

  private static float[] lastLogits(Backend backend, LanguageModel model, boolean int8) {
    EngineConfig config = EngineConfig.one(CONTEXT).withInt8Cache(int8);
    float[] logits = new float[MODEL.vocabulary()];
    try (ModelRunner runner = new ModelRunner(backend, model, config)) {
      StepRows rows = new StepRows(CONTEXT);
      int[] tokens = new Random(5).ints(CONTEXT, 0, 256).toArray();
      for (int position = 0; position < CONTEXT; position++) {
        rows.add(tokens[position], 0, position);
      }
      for (int block = 0; block < config.blocks(); block++) {
        rows.change(0, block, block);
      }
      int last = rows.want();
      runner.run(rows);
      runner.logits(last, logits);
    }
    return logits;
  }
}
