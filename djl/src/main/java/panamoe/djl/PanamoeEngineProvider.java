package panamoe.djl;

import ai.djl.engine.Engine;
import ai.djl.engine.EngineProvider;

/** Offers {@link PanamoeEngine} to DJL, which finds it by {@link java.util.ServiceLoader}. */
public final class PanamoeEngineProvider implements EngineProvider {
  /** Called by {@link java.util.ServiceLoader}. */
  public PanamoeEngineProvider() {}

  @Override
  public String getEngineName() {
    return PanamoeEngine.NAME;
  }

  @Override
  public int getEngineRank() {
    return PanamoeEngine.RANK;
  }

  @Override
  public Engine getEngine() {
    return PanamoeEngine.instance();
  }
}
