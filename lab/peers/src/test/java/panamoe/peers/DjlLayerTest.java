package panamoe.peers;

import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;
import panamoe.lab.bench.LayerShape;

/** Compares DJL's loop over experts with our layer. */
@Tag("slow")
class DjlLayerTest {
  @ParameterizedTest
  @ValueSource(strings = {"64x96x8x1", "64x96x8x2", "64x96x8x2-swiglu", "64x32x16x8-swiglu"})
  void computesTheSameLayer(String shape) throws Exception {
    OurLayer.agreesWith(PeerLibrary.DJL, LayerShape.parse(shape), 2e-5f);
  }

  @Test
  void answersQuestions() throws Exception {
    OurLayer.isAskedOf(PeerLibrary.DJL);
  }
}
