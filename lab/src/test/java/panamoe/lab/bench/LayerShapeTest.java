package panamoe.lab.bench;

import static org.junit.jupiter.api.Assertions.assertEquals;

import org.junit.jupiter.api.Test;
import panamoe.backend.Activation;
import panamoe.config.ModelPresets;
import panamoe.model.LanguageModel;
import panamoe.nn.Work;
import panamoe.param.ParameterStore;
import panamoe.tensor.DType;

/** Compares a shape's FLOPs with numbers computed by hand. */
class LayerShapeTest {
  @Test
  void namedShapes() {
    // Two matrices of 1024 x 4096 for S1, three of 2048 x 1024 for S3, whose tokens go to eight
    // experts; and the routers to 32 and 64 experts.
    assertEquals(2 * (2 * 1024.0 * 4096 + 1024 * 32) * 64, flops("s1", 64));
    assertEquals(2 * (3 * 2048.0 * 1024 * 8 + 2048 * 64), flops("S3", 1));
    assertEquals(3 * 1024 * 3584 * 2.0, LayerShape.parse("s2").expertBytes(DType.BFLOAT16));
  }

  private static double flops(String shape, int tokens) {
    try (ParameterStore store = new ParameterStore()) {
      Work work = Work.prefill(tokens, DType.FLOAT32);
      return LayerShape.parse(shape).layer(store, 0).cost(work).flops();
    }
  }

  @Test
  void freeShapes() {
    LayerShape gelu = LayerShape.parse("512x2048x16x2");
    assertEquals(new LayerShape("512x2048x16x2", 512, 2048, 16, 2, Activation.GELU, 8), gelu);
    assertEquals(Activation.SWIGLU, LayerShape.parse("512x2048x16x2-SwiGLU").activation());
  }

  @Test
  void trainStepIsAbout88GigaFlops() {
    var config = ModelPresets.of(ModelPresets.Size.BASE, ModelPresets.Architecture.MOE, 8192);
    try (LanguageModel model = new LanguageModel(config)) {
      Work work = Work.training(8, 256, DType.FLOAT32);
      assertEquals(88.5e9, model.cost(work).flops(), 0.3e9);
    }
  }
}
