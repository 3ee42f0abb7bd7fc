package panamoe.harness.generate;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import panamoe.backend.Backend;
import panamoe.backend.Backends;
import panamoe.engine.schedule.ModelRunner;
import panamoe.model.LanguageModel;
import panamoe.open.InferenceMemory;
import panamoe.open.InferenceSettings;
import panamoe.open.ModelFolder;
import panamoe.param.ExpertCacheStatistics;
import panamoe.param.Parameter;
import panamoe.param.WeightTypes;
import panamoe.tensor.DType;

/** Recorded models with memory for three experts give the bits of whole models. */
class ReleasedExpertsOnDiskTest {
  private static final int[] PROMPT = {7, 1, 30, 12, 5, 40, 3, 22, 9, 8};
  private static final int BLOCK = 4096;

  @TempDir Path cache;

  @ParameterizedTest
  @CsvSource({
    "hf/qwen3_moe_b_bf16, FLOAT32, false",
    "hf/mixtral_b_bf16_sharded, BFLOAT16, false",
    "hf/gpt_oss_d_releasedrope, FLOAT32, false",
    "hf/deepseek_v3_a, FLOAT32, false",
    "gguf/olmoe_c_many_types.gguf, FLOAT32, true",
    "gguf/qwen3moe_text_q8_0.gguf, BFLOAT16, true"
  })
  void logitsAreThoseOfAWholeModel(String name, DType compute, boolean stored) {
    ModelFolder folder = ModelFolder.open(Path.of("../lab/golden", name));
    WeightTypes types = stored ? folder.typesAsStored(compute) : WeightTypes.of(compute);
    List<String> warnings = new ArrayList<>();
    try (Backend backend = Backends.open("cpu", 2);
        LanguageModel whole = folder.load(backend, InferenceSettings.of(types), warnings)) {
      List<String> before = List.copyOf(warnings);
      warnings.clear();
      long memory = memory(whole, types, 3);
      InferenceSettings little = new InferenceSettings(types, memory, cache, List.of());
      try (LanguageModel read = folder.load(backend, little, warnings)) {
        assertEquals(before, warnings);
        assertArrayEquals(
            ModelRunner.nextLogits(backend, whole, PROMPT),
            ModelRunner.nextLogits(backend, read, PROMPT));
        ExpertCacheStatistics told = read.parameters().expertCache().orElseThrow().statistics();
        assertTrue(told.slots() >= 3 && told.slots() < told.experts(), told.toString());
        assertTrue(told.uses().count() > told.slots(), told.toString());
      }
    }
  }

  /** All weights except experts', and room for some experts. */
  private static long memory(LanguageModel whole, WeightTypes types, int experts) {
    long bytes = InferenceMemory.of(whole.config(), types).weights();
    long largest = 0;
    long unit = 0;
    for (Parameter parameter : whole.parameters().parameters()) {
      if (WeightTypes.isExpert(parameter)) {
        bytes -= types.packedBytes(parameter);
        long one = parameter.value().bytes() / parameter.matrices();
        // Up comes before down.
        unit = parameter.name().contains(".up.") ? Math.ceilDiv(one, 64) * 64 : unit + one;
        largest = Math.max(largest, unit);
      }
    }
    return bytes + experts * Math.ceilDiv(largest, BLOCK) * BLOCK;
  }
}
