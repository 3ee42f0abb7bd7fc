package panamoe.harness;

import static org.junit.jupiter.api.Assertions.assertNull;

import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class ClassPathTest {

  /**
   * A tokenizer in native code ended the process on some files, and DJL connects to the network.
   */
  @ParameterizedTest
  @ValueSource(
      strings = {
        "/ai/djl/Device.class",
        "/ai/djl/huggingface/tokenizers/HuggingFaceTokenizer.class",
        "/com/sun/jna/Native.class"
      })
  void theProgramCarriesNoTokenizerInNativeCode(String resource) {
    assertNull(ClassPathTest.class.getResource(resource));
  }
}
