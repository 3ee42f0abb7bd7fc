package panamoe.open;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.Set;
import java.util.function.Consumer;
import java.util.stream.Collectors;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import panamoe.backend.Backend;
import panamoe.backend.Backends;
import panamoe.checkpoint.CheckpointException;
import panamoe.checkpoint.StoredType;
import panamoe.engine.schedule.ModelRunner;
import panamoe.model.LanguageModel;
import panamoe.model.ModelTensors;
import panamoe.param.Parameter;
import panamoe.param.WeightTypes;
import panamoe.quantize.QuantizationFormat;
import panamoe.quantize.QuantizationPlan;
import panamoe.quantize.QuantizedModel;
import panamoe.tensor.DType;
import tools.jackson.databind.node.ObjectNode;

/** Folders that compressed-tensors, AutoAWQ, GPTQ and others quantized. */
class QuantizedFolderTest {
  private static final String MATRIX = "model.layers.0.self_attn.k_proj.";

  @TempDir private Path place;

  private final Backend cpu = Backends.open("cpu", 2);

  @AfterEach
  void close() {
    cpu.close();
  }

  private float[] logits(ModelFolder folder, WeightTypes types) {
    try (LanguageModel model = folder.load(cpu, InferenceSettings.of(types), null)) {
      return ModelRunner.nextLogits(cpu, model, 7, 1, 30);
    }
  }

  /**
   * @param held the format of its blocks; empty if it is decoded
   */
  @ParameterizedTest
  @CsvSource({
    "pack, 4, 32, true, Q4_0",
    "pack, 4, -1, true, Q4_0",
    "pack, 4, 64, false, Q4_1",
    "pack, 8, 32, true, Q8_0",
    "pack, 8, 64, true, Q8_64",
    "pack, 8, -1, true, Q8_128",
    "pack, 8, 64, false, ",
    "pack, 4, 16, true, ",
    "int, 8, -1, true, Q8_128",
    "int, 8, 64, false, ",
    "int, 4, 32, true, Q4_0",
    "int, 4, 32, false, Q4_1",
    "awq, 4, 32, false, Q4_1",
    "awq, 4, 128, true, Q4_0",
    "gptq, 4, 128, true, Q4_0",
    "gptq, 4, 32, false, Q4_1",
    "gptq_v2, 4, 64, false, Q4_1",
    "gptq, 8, 128, true, Q8_128",
    "gptq, 8, 16, false, ",
    "act-order, 4, 32, true, ",
    "float, 8, -1, true, FP8_128",
    "float-block, 8, -1, true, FP8_128",
    "float-tensor, 8, -1, true, FP8_128",
    "nvfp4, 4, 16, true, ",
    "modelopt, 4, 16, true, ",
    "mxfp4, 4, 32, true, MXFP4"
  })
  void logitsAreThoseOfTheDecodedWeights(
      String library, int bits, int group, boolean symmetric, String held) throws IOException {
    QuantizedFolder both = QuantizedFolder.of(library, bits, group, symmetric);
    ModelFolder floats = ModelFolder.open(both.floats.write(place.resolve("floats")));
    ModelFolder quantized = ModelFolder.open(both.quantized.write(place.resolve("quantized")));
    WeightTypes decoded = WeightTypes.of(DType.FLOAT32);
    float[] expected = logits(floats, decoded);
    assertArrayEquals(expected, logits(quantized, decoded));

    WeightTypes types = quantized.typesAsStored(DType.FLOAT32);
    Set<DType> formats =
        types.stored().values().stream().filter(DType::isBlocks).collect(Collectors.toSet());
    boolean kernels = held != null && StoredType.valueOf(held).blocks().isPresent();
    assertEquals(kernels ? Set.of(DType.valueOf(held)) : Set.of(), formats);
    if (kernels) {
      assertTrue(blocksAreHeld(quantized, types));
      assertArrayEquals(expected, logits(quantized, types.withExact(true)));
      float[] rounded = logits(quantized, types);
      assertEquals(!DType.valueOf(held).blocks().roundsRows(), Arrays.equals(expected, rounded));
      double apart = 0;
      double largest = 0;
      for (int i = 0; i < expected.length; i++) {
        apart = Math.max(apart, Math.abs(expected[i] - rounded[i]));
        largest = Math.max(largest, Math.abs(expected[i]));
      }
      assertTrue(apart < 0.1 * largest, apart + " of " + largest);
    }
  }

  /**
   * Models are published in FP8: these are rounded to fewer bits, those in other blocks are not.
   */
  @Test
  void onlyFoldersInFp8AreQuantizedAgain() throws IOException {
    QuantizationFormat int4 = QuantizationFormat.named("int4");
    Path floats =
        QuantizedFolder.of("float-block", 8, -1, true).quantized.write(place.resolve("8"));
    ModelFolder eight = ModelFolder.open(floats);
    assertEquals(
        ModelTensors.quantizedMatrices(eight.config()).size(),
        QuantizedModel.wanted(eight, QuantizationPlan.NONE, int4).size());
    Path codes = QuantizedFolder.of("awq", 4, 32, false).quantized.write(place.resolve("4"));
    ModelFolder four = ModelFolder.open(codes);
    String said =
        assertThrows(
                IllegalArgumentException.class,
                () -> QuantizedModel.wanted(four, QuantizationPlan.NONE, int4))
            .getMessage();
    assertTrue(said.contains("is in blocks already"), said);
  }

  /** All matrices but the exceptions: a matrix of layer 1, the embedding and the head. */
  private boolean blocksAreHeld(ModelFolder folder, WeightTypes types) {
    try (LanguageModel model = folder.load(cpu, InferenceSettings.of(types), null)) {
      return model.parameters().parameters().stream()
          .filter(WeightTypes::mayBeBlocks)
          .filter(it -> it.part() != Parameter.Part.EMBEDDING && !it.name().contains("head"))
          .allMatch(
              it ->
                  it.value().dtype().isBlocks()
                      != it.name().equals("layers.1.attention.query.weight"));
    }
  }

  private void refused(QuantizedFolder folder, String... parts) throws IOException {
    Path path = folder.quantized.write(place.resolve("refused"));
    String message =
        assertThrows(
                CheckpointException.class, () -> ModelFolder.open(path).load(cpu, DType.FLOAT32))
            .getMessage();
    assertEquals(1, message.lines().count(), message);
    for (String part : parts) {
      assertTrue(message.contains(part), message);
    }
  }

  private static ObjectNode keys(QuantizedFolder folder) {
    return (ObjectNode) folder.quantized.config.get("quantization_config");
  }

  private static ObjectNode weights(QuantizedFolder folder) {
    return (ObjectNode) keys(folder).get("config_groups").get("group_0").get("weights");
  }

  /** Changes the bytes of a tensor of {@link #MATRIX}. */
  private static void change(QuantizedFolder folder, String name, Consumer<ByteBuffer> change) {
    byte[] bytes = folder.quantized.tensors.get(MATRIX + name).bytes();
    change.accept(ByteBuffer.wrap(bytes).order(ByteOrder.LITTLE_ENDIAN));
  }

  @Test
  void groupsThatDoNotFit() throws IOException {
    QuantizedFolder folder = QuantizedFolder.of("pack", 4, 32, true);
    weights(folder).put("group_size", 48);
    refused(folder, MATRIX + "weight: it has 128 columns, which groups of 48 do not divide");
    weights(folder).put("group_size", 64);
    refused(
        folder, MATRIX + "weight: its scales are [64, 4], expected [64, 2]: one for each group");
    folder = QuantizedFolder.of("gptq", 4, 32, false);
    keys(folder).put("group_size", 96);
    refused(folder, MATRIX + "weight: it has 128 columns, which groups of 96 do not divide");
  }

  @Test
  void scalesThatAreNoNumbers() throws IOException {
    for (float scale : new float[] {0, Float.NaN, Float.POSITIVE_INFINITY, 1e6f, 1e-9f}) {
      QuantizedFolder folder = QuantizedFolder.of("int", 8, -1, true);
      change(folder, "weight_scale", scales -> scales.putFloat(4 * 5, scale));
      refused(
          folder,
          MATRIX + "weight: the scale of row 5, group 0 is " + scale,
          "expected a number other than 0 that 16 bits hold");
      folder = QuantizedFolder.of("nvfp4", 4, 16, true);
      if (scale != 1e6f && scale != 1e-9f) {
        change(folder, "weight_global_scale", factor -> factor.putFloat(0, scale));
        refused(folder, MATRIX + "weight_global_scale is " + scale + ", expected a number other");
      }
    }
    QuantizedFolder missing = QuantizedFolder.of("awq", 4, 32, false);
    missing.quantized.tensors.remove(MATRIX + "scales");
    refused(missing, MATRIX + "weight: missing " + MATRIX + "scales");
  }

  @Test
  void columnsInAnotherOrder() throws IOException {
    QuantizedFolder folder = QuantizedFolder.of("gptq", 4, 32, true);
    change(folder, "g_idx", order -> order.putInt(4 * 3, 2));
    refused(folder, MATRIX + "weight: g_idx puts column 3 into group 2, expected 0", "desc_act");
    folder = QuantizedFolder.of("act-order", 4, 32, true);
    change(folder, "g_idx", order -> order.putInt(4 * 3, 4));
    refused(folder, MATRIX + "weight: g_idx puts column 3 into group 4, expected one of 4");
  }

  @Test
  void tensorsThatAreMissingOrTooMany() throws IOException {
    QuantizedFolder folder = QuantizedFolder.of("act-order", 4, 32, true);
    folder.quantized.tensors.remove(MATRIX + "g_idx");
    refused(folder, MATRIX + "weight: missing " + MATRIX + "g_idx");
    folder = QuantizedFolder.of("gptq", 4, 32, true);
    change(folder, "bias", bias -> bias.putShort(4, (short) 1));
    refused(folder, "unexpected " + MATRIX + "bias");
  }

  @Test
  void zeroPointsOfTheOtherConvention() throws IOException {
    QuantizedFolder folder = QuantizedFolder.of("gptq", 4, 32, true);
    keys(folder).put("checkpoint_format", "gptq_v2");
    refused(folder, "the zero point of row 0, group 0 is 7, expected 8 for symmetric codes");
    folder = QuantizedFolder.of("gptq_v2", 4, 32, true);
    keys(folder).put("checkpoint_format", "gptq");
    refused(folder, "the zero point of row 0, group 0 is 9, expected 8 for symmetric codes");
  }

  @Test
  void schemesThatAreMixedOrUnknown() throws IOException {
    QuantizedFolder folder = QuantizedFolder.of("pack", 4, 32, true);
    ObjectNode groups = (ObjectNode) keys(folder).get("config_groups");
    ObjectNode other = (ObjectNode) groups.get("group_0").deepCopy();
    ((ObjectNode) other.get("weights")).put("num_bits", 8);
    groups.set("group_1", other);
    refused(
        folder, "quantization_config.config_groups is 2 schemes, expected one for all matrices");
    groups.remove("group_1");
    weights(folder).put("num_bits", 3);
    refused(folder, "config_groups.group_0.weights.num_bits is 3, expected 4 or 8");
    folder = QuantizedFolder.of("pack", 4, 32, true);
    keys(folder).put("format", "marlin-24");
    refused(folder, "quantization_config.format is marlin-24, expected one of pack-quantized");
    folder = QuantizedFolder.of("awq", 4, 32, true);
    keys(folder).put("version", "gemv");
    refused(folder, "quantization_config.version is \"gemv\", expected gemm");
    folder = QuantizedFolder.of("awq", 4, 32, true);
    keys(folder).put("quant_method", "gptq");
    refused(folder, "quantization_config.zero_point", "not known here");
    folder = QuantizedFolder.of("pack", 4, 32, true);
    QuantizedFolder second = QuantizedFolder.of("awq", 4, 32, true);
    for (String name : second.named("")) {
      if (name.startsWith(MATRIX)) {
        folder.quantized.tensors.put(name, second.quantized.tensors.get(name));
      }
    }
    refused(folder, "unexpected " + MATRIX + "qweight");
  }

  /** Scales that 16 bits do not hold are rounded to those that they hold. */
  @Test
  void scalesAreRoundedToSixteenBits() throws IOException {
    QuantizedFolder folder = QuantizedFolder.of("int", 8, -1, true);
    ModelFolder exact = ModelFolder.open(folder.quantized.write(place.resolve("exact")));
    float[] before = logits(exact, WeightTypes.of(DType.FLOAT32));
    for (String name : folder.named("weight_scale")) {
      ByteBuffer scales =
          ByteBuffer.wrap(folder.quantized.tensors.get(name).bytes())
              .order(ByteOrder.LITTLE_ENDIAN);
      for (int at = 0; at < scales.limit(); at += 4) {
        scales.putFloat(at, scales.getFloat(at) * (1 + 0x1p-13f));
      }
    }
    ModelFolder nearly = ModelFolder.open(folder.quantized.write(place.resolve("nearly")));
    assertArrayEquals(before, logits(nearly, WeightTypes.of(DType.FLOAT32)));
  }
}
