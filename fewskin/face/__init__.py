"""3D faces: landmarks, models, fitting, textures and renders."""
