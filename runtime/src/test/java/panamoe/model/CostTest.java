package panamoe.model;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.stream.IntStream;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.EnumSource;
import panamoe.backend.AttentionSettings.Mask;
import panamoe.backend.Backend;
import panamoe.config.AttentionConfig.Scores;
import panamoe.config.BlockConfig;
import panamoe.config.EveryPart;
import panamoe.config.GroupedQueryConfig;
import panamoe.config.LatentAttentionConfig;
import panamoe.config.ModelConfig;
import panamoe.nn.Cost;
import panamoe.nn.KeyValueCache;
import panamoe.nn.Sequences;
import panamoe.nn.Work;
import panamoe.op.Pass;
import panamoe.op.Tape;
import panamoe.parallel.Topology;
import panamoe.param.Parameter;
import panamoe.tensor.DType;
import panamoe.tensor.Tensor;
import panamoe.tensor.TensorScope;
import panamoe.testkit.CountingBackend;

/** {@link panamoe.nn.Cost} of a model against the calls and memory of a real pass. */
class CostTest {
  private static final int SEQUENCES = 3;
  private static final int LENGTH = 11;
  private static final int TOKENS = SEQUENCES * LENGTH;

  private final CountingBackend counter = new CountingBackend();
  private final Backend backend = counter.backend();

  @ParameterizedTest
  @CsvSource({"FLOAT32, false", "FLOAT32, true", "BFLOAT16, false", "BFLOAT16, true"})
  void training(DType dtype, boolean recompute) {
    try (LanguageModel model = new LanguageModel(EveryPart.model());
        TensorScope scope = TensorScope.confined(backend)) {
      model.materialize(backend, dtype, true, 1);
      Cost cost =
          model.cost(new Work(true, recompute, SEQUENCES, 0, LENGTH, TOKENS, dtype, Topology.ONE));
      Tensor ids = numbers(scope, TOKENS, 1);
      Sequences whole = new Sequences.Whole(SEQUENCES, LENGTH, numbers(scope, TOKENS, LENGTH));
      Tape tape = new Tape(backend);
      model.parameters().watch(tape);
      Pass pass = Pass.training(backend, scope, tape, 1, 1);
      makeTables(model, ids, whole);
      long before = counter.bytes();
      model.head().losses(pass, model.forward(pass, ids, whole, null, recompute), ids, 1);
      assertEquals(cost.kept(), counter.bytes() - before);
      tape.backward();
      assertEquals(cost.flops(), counter.flops());
      double inFlight = counter.peak() - before - cost.kept();
      assertTrue(inFlight <= cost.inFlight(), inFlight + " bytes, not " + cost.inFlight());
    }
  }

  @ParameterizedTest
  @EnumSource(names = {"FLOAT32", "BFLOAT16"})
  void generation(DType dtype) {
    try (LanguageModel model = new LanguageModel(causal(EveryPart.model()));
        TensorScope inputs = TensorScope.confined(backend)) {
      model.materialize(backend, dtype, false, 1);
      KeyValueCache cache = model.cache(inputs, model.activationDType(), 1, LENGTH + 1);
      Cost prefill = model.cost(Work.prefill(LENGTH, dtype));
      assertGenerates(model, cache, inputs, 0, LENGTH, prefill);
      assertGenerates(model, cache, inputs, LENGTH, 1, model.cost(Work.decode(1, LENGTH, dtype)));
    }
  }

  private void assertGenerates(
      LanguageModel model,
      KeyValueCache cache,
      TensorScope inputs,
      int cached,
      int length,
      Cost cost) {
    Tensor ids = numbers(inputs, length, 1);
    Tensor slots = numbers(inputs, length, 1);
    Tensor positions = inputs.allocate(DType.INT32, length);
    positions.set(IntStream.range(cached, cached + length).toArray());
    Tensor table = numbers(inputs, 1, 1).reshape(1, 1);
    Sequences running = new Sequences.Running(cache, table, slots, positions);
    makeTables(model, ids, running);
    long before = counter.bytes();
    try (TensorScope scope = TensorScope.confined(backend)) {
      Pass pass = Pass.inference(backend, scope);
      Tensor hidden = model.forward(pass, ids, running, null, false);
      model.head().logits(pass, hidden.rows(length - 1, length));
      assertEquals(cost.kept(), counter.bytes() - before);
    }
    assertEquals(cost.flops(), counter.flops());
    assertEquals(0, cost.inFlight());
  }

  /** Memory that the first batch of a shape leaves in the model for later ones. */
  private void makeTables(LanguageModel model, Tensor ids, Sequences sequences) {
    try (TensorScope scope = TensorScope.confined(backend)) {
      model.forward(Pass.inference(backend, scope), ids, sequences, null, false);
    }
    counter.restart();
  }

  /** A prompt long enough for every expert reads every matrix and vector once. */
  @ParameterizedTest
  @EnumSource(names = {"FLOAT32", "BFLOAT16"})
  void bytes(DType dtype) {
    ModelConfig config = EveryPart.model();
    try (LanguageModel model = new LanguageModel(config)) {
      double weights = 0;
      double experts = 0;
      for (Parameter parameter : model.parameters().parameters()) {
        if (parameter.part() != Parameter.Part.EMBEDDING || parameter == model.head().matrix()) {
          double bytes = (double) parameter.count() * parameter.valueDType(dtype).bytes();
          weights += bytes;
          experts += parameter.part() == Parameter.Part.EXPERT ? bytes : 0;
        }
      }
      // Rows of the token and the position table, and the keys and values of each layer.
      double looked = 2.0 * LENGTH * config.hidden() * dtype.bytes();
      double cache = 0;
      for (BlockConfig block : config.blocks()) {
        double row =
            switch (block.attention()) {
              case GroupedQueryConfig grouped ->
                  2.0 * grouped.heads().keyValue() * grouped.heads().size();
              case LatentAttentionConfig latent ->
                  latent.ranks().keyValue() + latent.rotary().size();
            };
        cache += LENGTH * row * dtype.bytes();
      }
      Cost cost = model.cost(Work.prefill(LENGTH, dtype));
      assertEquals(weights + looked + cache, cost.bytesRead());
      assertEquals(experts, cost.experts());
      assertEquals(cache, cost.cache());
      assertEquals(cache, cost.bytesWritten());
    }
  }

  /** INT32 [count]: 0, 1, ... repeated. */
  private static Tensor numbers(TensorScope scope, int count, int period) {
    return scope
        .allocate(DType.INT32, count)
        .set(IntStream.range(0, count).map(i -> i % period).toArray());
  }

  /** The model with causal masks only: with others it cannot generate. */
  private static ModelConfig causal(ModelConfig config) {
    return new ModelConfig(
        config.vocabulary(),
        config.context(),
        config.hidden(),
        config.embedding(),
        config.blocks().stream().map(CostTest::causal).toList(),
        config.finalNorm(),
        config.head(),
        config.initialWeights());
  }

  private static BlockConfig causal(BlockConfig block) {
    if (!(block.attention() instanceof GroupedQueryConfig old)) {
      return block;
    }
    Scores scores =
        new Scores(Mask.CAUSAL, old.scores().window(), old.scores().sinks(), old.scores().scale());
    return block.withAttention(old.with(scores));
  }
}
