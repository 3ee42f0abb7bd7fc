package panamoe.peers;

import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;
import panamoe.backend.Activation;
import panamoe.lab.bench.LayerShape;

/** Compares ONNX Runtime's operator with our layer, with the tanh approximation of GELU. */
@Tag("slow")
class OnnxLayerTest {
  @ParameterizedTest
  @ValueSource(strings = {"64x96x8x1", "64x96x8x2"})
  void computesTheSameLayerWithItsGelu(String name) throws Exception {
    LayerShape s = LayerShape.parse(name);
    OurLayer.agreesWith(
        PeerLibrary.ONNXRUNTIME,
        new LayerShape(
            name,
            s.hidden(),
            s.expertHidden(),
            s.experts(),
            s.topK(),
            Activation.GELU_TANH,
            s.copies()),
        2e-5f);
  }

  @ParameterizedTest
  @ValueSource(strings = {"64x96x8x2-swiglu", "64x32x16x8-swiglu"})
  void computesTheSameGatedLayer(String shape) throws Exception {
    OurLayer.agreesWith(PeerLibrary.ONNXRUNTIME, LayerShape.parse(shape), 2e-5f);
  }

  @Test
  void answersQuestions() throws Exception {
    OurLayer.isAskedOf(PeerLibrary.ONNXRUNTIME);
  }
}
