package panamoe.harness.ranks;

import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.Assertions.fail;

import java.io.PrintWriter;
import java.io.Writer;
import java.lang.reflect.Proxy;
import java.nio.file.Path;
import org.junit.jupiter.api.Test;
import panamoe.backend.Backend;
import panamoe.backend.Backends;
import panamoe.checkpoint.CheckpointException;
import panamoe.comm.ThreadWorld;
import panamoe.comm.exchange.Strategy;
import panamoe.engine.EngineConfig;
import panamoe.open.InferenceMemory;
import panamoe.open.InferenceSettings;
import panamoe.open.ModelFolder;
import panamoe.parallel.Overlap;
import panamoe.parallel.Ranks;
import panamoe.parallel.Topology;
import panamoe.param.WeightTypes;
import panamoe.tensor.DType;

class EngineRunTest {
  /** The free memory holds all weights of both ranks, but not their caches. */
  @Test
  void ranksOfAMachineCountTheirCaches() {
    ModelFolder model = ModelFolder.open(Path.of("../lab/golden/hf/qwen3_moe_b_bf16"));
    WeightTypes types = WeightTypes.of(DType.FLOAT32);
    long weights = InferenceMemory.of(model.config(), types).weights();
    EngineConfig large = new EngineConfig(100_000, 16, 2, 16, 0.25, true, 0);
    EngineRun run =
        new EngineRun(
            model,
            InferenceSettings.of(types),
            new PrintWriter(Writer.nullWriter()),
            () -> fail("loads weights"));
    ThreadWorld.of(2)
        .run(
            world -> {
              Ranks ranks = new Ranks(new Topology(2, 2, 1, 1), world, Strategy.FLAT, Overlap.NONE);
              try (Backend real = Backends.open("cpu", 1)) {
                Backend backend = holding(real, 2 * weights);
                String message =
                    assertThrows(
                            CheckpointException.class,
                            () -> run.run(ranks, backend, large, _ -> fail("generates")))
                        .getMessage();
                assertTrue(message.contains("weights of the 2 ranks of this machine"), message);
              }
              ranks.close();
              return null;
            });
  }

  private static Backend holding(Backend real, long bytes) {
    return (Backend)
        Proxy.newProxyInstance(
            Backend.class.getClassLoader(),
            new Class<?>[] {Backend.class},
            (_, method, arguments) ->
                method.getName().equals("memoryAvailable")
                    ? bytes
                    : method.invoke(real, arguments));
  }
}
